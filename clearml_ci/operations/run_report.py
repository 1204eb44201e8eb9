"""The report of a run, whatever its pipeline: read what it was asked for, stamp a rerun, store the verdict, post it."""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from clearml_ci.clearml_api import pipeline_runs, project_lookup, run_results, started_runs
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.documents import AuditVerdict, VerdictDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import Posted, ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.github_api import statuses
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import publish, rerun, run_plots
from clearml_ci.operations.rerun import Rerun
from clearml_ci.operations.services import Services
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.check import Check
from clearml_ci.report import comment
from clearml_ci.report.plots import Charts

Parameters = TypeVar("Parameters", Check, Audit)


Verdict = TypeVar("Verdict", VerdictDocument, AuditVerdict)


@dataclass(frozen=True)
class Request(Generic[Parameters]):
    """The parameters of a run, and the `error` if they are invalid: a rerun has those of its original then."""

    parameters: Parameters
    rerun: Rerun | None
    error: str = ""

    @property
    def reason(self) -> str:
        """The exit reason of a run with an `error`."""
        which = "rerun" if self.rerun else "run"
        return (
            f"the parameters of this {which} cannot be read: {self.error}; correct them in ClearML, and start it again"
        )


Parse = Callable[[Mapping[str, str]], Parameters]


def read(services: Services, run: Run, parse: Parse[Parameters], *, identify: Parse[Parameters]) -> Request[Parameters]:
    """Read a run's parameters by `parse`; if it refuses them, who is reported to by `identify`. Raises UsageError."""
    rerun_, error = rerun.of(services.clearml, run, step=services.own_task), ""
    try:
        parameters = parse(rerun_.arguments if rerun_ else run.arguments)
    except UsageError as raised:
        if rerun_ and rerun_.before is None:
            raise
        parameters, error = identify(rerun_.before if rerun_ and rerun_.before else run.arguments), str(raised)
    if rerun_:  # no job waits for what a user started in ClearML
        parameters = replace(parameters, waited_for=False)
    return Request(parameters, rerun_, error)


def require_own_repository(repository: str, run: Run) -> None:
    """Anyone on the ClearML server can edit a run's parameters; its project decides which repository it may report to.

    Raises UsageError.
    """
    if not repository or f"/{repository}{project_lookup.PIPELINES}" not in f"/{run.project}/":
        raise UsageError(
            f"a run in the project '{run.project}' must not report to the repository '{repository}': start it from the "
            "workflow of that repository"
        )


def stamped(document: Verdict, rerun: Rerun | None, *, withheld: str) -> Verdict:
    """The verdict with its rerun, and a warning if it is withheld from GitHub for this reason."""
    warnings = [*document["warnings"], *_withheld(withheld)]
    return {**document, "warnings": warnings, "rerun": rerun.document if rerun else None}


def _withheld(reason: str) -> list[str]:
    return [f"Nothing was posted on GitHub: {reason}."] if reason else []


def why_kept(github: GitHub | None, check: Check, request: Request[Check], document: VerdictDocument) -> str:
    """Reason why a rerun must not replace the verdict that is on GitHub, or "": it came to none of its own."""
    if request.error:
        return "the parameters of this rerun cannot be read"
    if document["outcome"] != Outcome.ERROR or github is None:
        return ""
    try:
        found = statuses.latest(github, commit=check.status_commit, name=check.check_name) if check.has_status else None
    except GitHubError as error:
        return str(error)
    stands = not check.has_status or (found and found[0] in ("success", "failure"))
    return "this rerun came to no verdict, and the earlier one stands" if stands else ""


def finish(
    services: Services,
    run: Run,
    check: Check,
    document: VerdictDocument,
    body: str,
    *,
    github: GitHub | None,
    withheld: str,
    charts: Charts | None = None,
) -> ReportResult:
    """Post the verdict, and store it on the run.

    A run that was superseded, or whose job has published an error, posts nothing. If its job does so meanwhile, an
    error replaces what was posted. A verdict that cannot be stored is a warning: it is posted, and the step's result
    holds it, from before it is posted: a step that is killed leaves no success without a verdict.
    """
    clearml = services.clearml
    withheld = withheld or _unwanted(clearml, run, check, github)
    if services.own_task:
        unposted = post(None, check, document, body, withheld=withheld)
        run_results.store(clearml, services.own_task, {"verdict": document, "markdown": body, **unposted})
    posted = post(None if withheld else github, check, document, body, withheld=withheld)
    if github and not withheld:
        posted["warnings"] += _take_back_if_ended(clearml, run, check, document, github)
    try:
        started_runs.mark_reported(clearml, run.id, step=services.own_task)
        run_results.publish_verdict(clearml, run.id, document, body)
    except ClearMLError as raised:
        posted["warnings"].append(str(raised))
    result: ReportResult = {"verdict": document, "markdown": body, **posted}
    result["warnings"] += run_plots.report(services, run, check, result, charts)
    return result


def _unwanted(clearml: ClearML, run: Run, check: Check, github: GitHub | None) -> str:
    """Reason why the run must post nothing, or "". A job that cannot reach ClearML sets only its error status."""
    if reason := pipeline_runs.read(clearml, run.id).unwanted:
        return reason
    return publish.why_given_up(github, check, run.url) if github and check.waited_for else ""


def _take_back_if_ended(
    clearml: ClearML, run: Run, check: Check, document: VerdictDocument, github: GitHub
) -> list[str]:
    """Replace what was posted with an error if the run has ended meanwhile. Returns warnings.

    Its job marks or stops the run before it posts the error, which the step's posts may have replaced.
    """
    if not check.has_status or document["state"] == "error":
        return []
    reason = _ended(clearml, run, check, document, github)
    if not reason:
        return []
    error = verdict.as_error(document, reason)
    refusals = publish.take_back(github, check, error, comment.comment(error, []))
    return [f"an error replaces the verdict on GitHub: {reason}", *refusals]


def _ended(clearml: ClearML, run: Run, check: Check, document: VerdictDocument, github: GitHub) -> str:
    """Reason why the job of the run posts an error, or has posted one, or "". A newer run's job posts about its own."""
    with contextlib.suppress(ClearMLError):
        run = pipeline_runs.read(clearml, run.id)
    if run.superseded_by or run.unwanted:
        return "" if run.superseded_by else run.unwanted
    if check.waited_for and run.status in ("stopped", "failed"):
        return f"the run ended '{run.status}' in ClearML while it reported: rerun it"
    if check.waited_for and publish.was_given_up(github, check, document):
        return "the job that started this run has ended with an error"
    return ""


def post(github: GitHub | None, check: Check, document: VerdictDocument, body: str, *, withheld: str) -> Posted:
    """Post comment, status and check run, or an audit's issue. `posted` means that GitHub took a part of it.

    Without `github` nothing is posted, and `withheld` may give the reason.
    """
    if github is None:
        warned = [withheld] if withheld else []
        return {"posted": False, "comment_url": "", "commented": False, "status_set": False, "warnings": warned}
    if document["rerun"]:
        return _post_rerun(github, check, document, body)
    posted = publish.verdict(github, check, document, body)
    warnings = list(posted.warnings)
    if not check.waited_for:  # a job that waits finishes the check run that it started
        warnings += filter(None, [publish.check_run(github, check, document, body, started=None, warnings=warnings)])
    return _as_posted(posted, warnings)


def _post_rerun(github: GitHub, check: Check, document: VerdictDocument, body: str) -> Posted:
    """Post a rerun's verdict, its check run first: the comment names one that shows another verdict."""
    refusal = publish.check_run(github, check, document, body, started=None)
    line = publish.contradicting_check_run(github, check, document)
    posted = publish.verdict(github, check, document, f"{body}\n\n{line}" if line else body)
    return _as_posted(posted, [*posted.warnings, *filter(None, [refusal])])


def _as_posted(posted: publish.Posted, warnings: list[str]) -> Posted:
    return {
        "posted": posted.status_set or bool(posted.comment_url),
        "comment_url": posted.comment_url,
        "commented": posted.commented,
        "status_set": posted.status_set,
        "warnings": warnings,
    }
