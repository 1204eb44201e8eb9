"""Train the default branch's head again, and compare the results with its own earlier runs."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from clearml_ci.clearml_api import task_inputs, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import recorded_task
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.merge import Merge
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import MainLaunchDocument
from clearml_ci.decisions import audit_findings, launch_outcome, main_drift, main_runs, samples
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import github_access, main_branch, seeded_trainings
from clearml_ci.operations.main_branch import MainBranch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.remote_run import RemoteRun


@dataclass(frozen=True)
class Retraining:
    """The trainings, the findings about them, and the default branch that they were compared with, if they were."""

    trainings: list[TaskDocument]
    findings: list[Finding]
    main: MainBranch | None = None
    notes: tuple[str, ...] = ()


def retrain(services: Services, run: Run, audit: Audit, launch: RemoteRun) -> Retraining:
    """Train as often as the audit asks, each time with another seed, and compare. One that fails ends it, as a finding.

    A script that can be given no seed is trained as it is, with a note.
    """
    github = github_access.connect_if_possible(services.github, audit_parameters.as_check(audit))
    commit = main_branch.head_commit(github, audit)
    trainings: list[TaskDocument] = []
    notes: list[str] = []
    for document in _launches(services, run, audit, launch, github, commit, notes):
        if document["outcome"] != Outcome.PASSED or document["task"] is None:
            repository = Subject("project", audit.home.repository, "")
            return Retraining(trainings, audit_findings.check_probe(document, repository), notes=tuple(notes))
        trainings.append(document["task"])
    main = main_branch.read(services.github, audit)  # connects anew: an App's token lasts an hour
    findings = _compare(services.clearml, audit, [commit, *main.commits], main.merges, trainings)
    return Retraining(trainings, findings, main, tuple(notes))


def _launches(
    services: Services,
    run: Run,
    audit: Audit,
    launch: RemoteRun,
    github: GitHub | None,
    commit: str,
    notes: list[str],
) -> Iterator[MainLaunchDocument]:
    """Launch, and yield what came of each; the first one has the script's own seed."""
    first = main_branch.launch(services, run, audit, launch, github=github, commit=commit)
    yield first
    number = audit.retrain - 1
    if not number or first["task"] is None:
        return
    like = _recorded(services.clearml, first["task"])
    check = audit_parameters.as_check(audit, commit=commit)
    try:
        trainings = seeded_trainings.prepare(services, run, check, launch, github=github, like=like)
    except (UsageError, GitHubError) as error:
        notes.append(f"the trainings have the same seed: {error}")
        for later in range(1, audit.retrain):
            yield main_branch.launch(services, run, audit, launch, github=github, commit=commit, number=later)
        return
    with contextlib.closing(trainings.each(samples.new_seeds([samples.seed_of(like)], number))) as ends:
        for ended in ends:
            task = recorded_task.as_document(task_records.read(services.clearml, ended.task))
            document = launch_outcome.as_document(launch, ended.outcome, ended.snapshot, task=task, notes=())
            yield {**document, "commit": commit}


def _recorded(clearml: ClearML, task: TaskDocument) -> samples.Run:
    return samples.Run(task_records.read(clearml, task["id"]), task_inputs.read(clearml, [task["id"]])[task["id"]], {})


def _compare(
    clearml: ClearML,
    audit: Audit,
    commits: Sequence[str],
    merges: Sequence[Merge],
    trainings: Sequence[TaskDocument],
) -> list[Finding]:
    """The trainings are of one project and name; without GitHub the head alone may have earlier runs."""
    new = [task["id"] for task in trainings]
    earlier = task_records.of_commits(
        clearml,
        commits,
        projects=[trainings[0]["project_id"]],
        task_name=trainings[0]["name"],
        gates=audit.gates,
    )
    recorded = task_records.with_metrics(clearml, new, audit.gates) | {task.id: (task, read) for task, read in earlier}
    inputs = task_inputs.existing(clearml, list(recorded))
    runs = {id_: samples.Run(task, inputs[id_], values) for id_, (task, values) in recorded.items() if id_ in inputs}
    own = main_runs.in_merge_order([run for id_, run in runs.items() if id_ not in new], merges)
    subject = audit_findings.subject_of(recorded[new[0]][0])
    return main_drift.of_retraining([runs[id_] for id_ in new if id_ in runs], own, audit.gates, subject)
