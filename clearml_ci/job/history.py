"""The job of a history: print the default branch's runs, what promotions made of them, and drift."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from clearml_ci.clearml_api import best_tag, project_lookup, task_metrics
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console, slices
from clearml_ci.core.errors import UsageError, nearest
from clearml_ci.core.formatting import printable
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.core.poll import Clock
from clearml_ci.decisions.history import History
from clearml_ci.github_api import credentials
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job import event_context, settings, workflow_output
from clearml_ci.operations import main_history_runs
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import job_environment
from clearml_ci.parameters.check import Check
from clearml_ci.policy import policy_file, schema
from clearml_ci.report import history_table


def run(environ: Mapping[str, str], metrics: Sequence[str], project: str, clock: Clock) -> int:
    """Print the history of each model of a project; 0. Raises ClearMLError and UsageError.

    The policy is that of the checkout. Without a token for GitHub the order is that of the first runs of the commits.
    """
    check = _check(environ, project)
    if not check.project:
        raise UsageError("no ClearML project is named: give `--project NAME`, or set CLEARML_PROJECT")
    gates = _gates(check, metrics)
    clearml = clearml_session.connect(clock)
    project_id = project_lookup.existing_id(clearml, check.project)
    pipelines, merges = _repository(environ)
    histories = main_history_runs.read(clearml, check, gates, project=project_id, pipelines=pipelines, merges=merges)
    if not histories:
        console.log(f"no run of the default branch in '{check.project}': promotions tag them '{best_tag.MAIN_TAG}'")
        return 0
    _require_reported(clearml, histories, gates)
    for found in histories:
        console.log(f"history of {printable(found.name)} in {check.project}:")
        for line in history_table.lines(found):
            console.log(line)
    return 0


def _check(environ: Mapping[str, str], project: str) -> Check:
    """The check by the environment, governed by the policy of the checkout, if there is one."""
    given = job_environment.read(environ)
    path = settings.policy_file(environ) or policy_file.FILE
    own = replace(
        check_parameters.NOTHING,
        project=given.value("project"),
        task_name=given.value("task_name"),
        best_tag=given.value("best_tag"),
        seed=given.value("seed"),
        gates=check_parameters.gates(given.texts, names=given.names),
    )
    governed = policy_file.read(path).governed(own) if Path(path).exists() or settings.policy_file(environ) else own
    return replace(governed, project=project.strip() or governed.project)


def _gates(check: Check, metrics: Sequence[str]) -> tuple[Gate, ...]:
    """The gates of the named metrics, or all. A metric without a gate is maximized. Raises UsageError."""
    known = {gate.name: gate for gate in check.gates}
    if not metrics and not known:
        raise UsageError("no metric is named: give `--metric title/series`, or a policy with gates")
    for metric in metrics:
        if not all(map(str.strip, schema.title_and_series(metric))):
            raise UsageError(
                f"--metric is '{printable(metric)}': expected title/series{nearest(metric, known, what='gates')}"
            )
    named = [known.get(metric) or Gate(*schema.title_and_series(metric)) for metric in metrics]
    return tuple(dict.fromkeys(named)) or check.gates


def _repository(environ: Mapping[str, str]) -> tuple[str, tuple[Merge, ...]]:
    """The ClearML project of the repository's pipelines, and its merges, newest first; empty if they are not known."""
    if not environ.get("GITHUB_REPOSITORY", "").strip():
        workflow_output.note(
            "GITHUB_REPOSITORY is not set: promotions and accepted losses are not shown, and the order is that of the "
            "runs"
        )
        return "", ()
    pipelines = f"{settings.pipeline_project(environ)}/{settings.github_repository(environ)}"
    if not credentials.token(environ):
        workflow_output.note("GITHUB_TOKEN is not set: the order is that of the first runs of the commits")
        return pipelines, ()
    try:
        return pipelines, event_context.home(environ, needed_by="a history").merges
    except GitHubError as error:
        workflow_output.note(f"{error}: the order is that of the first runs of the commits")
        return pipelines, ()


def _require_reported(clearml: ClearML, histories: Sequence[History], gates: Sequence[Gate]) -> None:
    """Refuse a metric that no run reported. Raises UsageError that names the nearest that the newest run has."""
    runs = [run for found in histories for entry in found.entries for run in entry.merged.runs]
    for gate in gates:
        if any(run.reported.get(gate) or gate.name in slices.of_patterns(run.reported) for run in runs):
            continue
        names = task_metrics.series_names(clearml, runs[-1].task.id)
        known = slices.nearest_known(names) if gate.is_pattern else [f"{title}/{series}" for title, series in names]
        raise UsageError(f"no run of the default branch reported {gate.name}{nearest(gate.name, known, what='it has')}")
