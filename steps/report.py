"""Report the verdict: on the run, in the pull request's one comment, as a commit status."""

from collections.abc import Mapping
from dataclasses import replace

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results, task_metrics
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.run_results import Step
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.core.step_results import Posted, ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import github_access, publish, rerun
from clearml_ci.operations.rerun import Rerun
from clearml_ci.parameters import check, promotion_mode
from clearml_ci.parameters.check import Check
from clearml_ci.report import charts, comment
from clearml_ci.report.charts import Curves


def report(clearml: ClearML, run: Run) -> ReportResult:
    """`{"verdict", "markdown", "posted", "comment_url", "status_set", "warnings"}`; `posted`: GitHub took a part."""
    again = rerun.of(clearml, run)
    try:
        wanted = check.from_arguments(run.arguments)
    except UsageError as error:
        return _unreadable(clearml, run, again, error)
    if again:  # no job waits for what somebody started in ClearML
        wanted = replace(wanted, waited_for=False)
    step.require_own_repository(wanted.pull_request.repository, run)
    steps = run_results.steps(clearml, run.id)
    wanted = _about(wanted, steps)
    document = verdict.for_check(
        wanted,
        run={"id": run.id, "url": run.url},
        steps={name: {"status": one.status, "result": one.result} for name, one in steps.items()},
    )
    return _told(clearml, run, wanted, document, again)


def _about(wanted: Check, steps: Mapping[str, Step]) -> Check:
    """A rollback is about the pull request whose promotion it undid, whichever run it was started from."""
    promoted = run_results.typed(steps)["promote"].get("promotion")
    if wanted.action != promotion_mode.ROLLBACK or not promoted:
        return wanted
    pull = replace(wanted.pull_request, number=promoted["pull_request"])
    return replace(wanted, pull_request=pull, commit=promoted["commit"], merge_commit=promoted["merge_commit"])


def _unreadable(clearml: ClearML, run: Run, again: Rerun | None, error: UsageError) -> ReportResult:
    """A rerun whose parameters make no sense is told about the commit of its original."""
    if again is None:
        raise error
    wanted = replace(check.from_arguments(again.original.arguments), waited_for=False)
    step.require_own_repository(wanted.pull_request.repository, run)
    reason = f"the parameters of this rerun cannot be read: {error}"
    document = verdict.error(wanted, run={"id": run.id, "url": run.url}, reason=reason)
    return {**_told(clearml, run, wanted, document, again), "fault": str(error)}


def _told(clearml: ClearML, run: Run, wanted: Check, document: VerdictDocument, again: Rerun | None) -> ReportResult:
    hub, silence = github_access.voice(wanted)
    if again:
        silence = silence or publish.outdated(hub, wanted)
        warnings = [*document["warnings"], *([f"Nothing was told on GitHub: {silence}."] if silence else [])]
        document = {**document, "warnings": warnings, "rerun": again.document}
    scalars = task_metrics.scalars(clearml, document["candidate"]["id"]) if document["candidate"] else []
    body = comment.comment(document, scalars, curves(clearml, wanted, document))
    run_results.publish_verdict(clearml, run.id, document)
    return {"verdict": document, "markdown": body, **post(None if silence else hub, silence, wanted, document, body)}


def curves(clearml: ClearML, wanted: Check, document: VerdictDocument) -> dict[int, Curves]:
    """The curves of the gates that get a chart. They only illustrate: without them the report is the same."""
    documents, candidate = document["gates"], document["candidate"]
    tasks = {
        index: (candidate["id"] if candidate else "", documents[index]["baseline_task"] or "")
        for index in charts.picked(documents)
    }
    asked: dict[str, list[Gate]] = {}
    for index, pair in tasks.items():
        for task in filter(None, pair):
            asked.setdefault(task, []).append(wanted.gates[index])
    try:
        found = task_metrics.curves(clearml, asked)
    except ClearMLError:
        return {}
    return {
        index: Curves(*(found.get((task, wanted.gates[index]), ()) for task in pair)) for index, pair in tasks.items()
    }


def post(hub: GitHub | None, silence: str, wanted: Check, document: VerdictDocument, body: str) -> Posted:
    """Comment, status and check run; without `hub` nothing, and `silence` may say why."""
    if hub is None:
        return {"posted": False, "comment_url": "", "status_set": False, "warnings": [silence] if silence else []}
    posted = publish.verdict(hub, wanted, document, body)
    warnings = list(posted.warnings)
    if not wanted.waited_for:  # a job that waits ends the check run that it started
        warnings += filter(None, [publish.check_run(hub, wanted, document, body, started=None, warnings=warnings)])
    return {
        "posted": posted.status_set or bool(posted.comment_url),
        "comment_url": posted.comment_url,
        "status_set": posted.status_set,
        "warnings": warnings,
    }


if __name__ == "__main__":
    step.main(report)
