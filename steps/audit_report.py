"""Report an audit: on the run, and in the repository's one issue."""

from dataclasses import replace

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import AuditVerdict
from clearml_ci.core.errors import UsageError
from clearml_ci.core.step_results import Posted, ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import github_access, publish, rerun
from clearml_ci.operations.rerun import Rerun
from clearml_ci.parameters import audit
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.check import Check
from clearml_ci.report import audit_issue


def audit_report(clearml: ClearML, run: Run) -> ReportResult:
    """`{"verdict", "markdown", "posted", "comment_url": the issue's, "status_set", "warnings"}`, as that of a check."""
    again = rerun.of(clearml, run)
    try:
        wanted = audit.from_arguments(run.arguments)
    except UsageError as error:
        return _unreadable(clearml, run, again, error)
    if again:  # no job waits for what somebody started in ClearML
        wanted = replace(wanted, waited_for=False)
    step.require_own_repository(wanted.home.repository, run)
    steps = run_results.steps(clearml, run.id)
    document = verdict.for_audit(
        wanted,
        run={"id": run.id, "url": run.url},
        steps={name: {"status": one.status, "result": one.result} for name, one in steps.items()},
        planned=audit.plan(run.arguments),
    )
    edited = bool(again and again.changes) and document["exit_code"] == 0
    silence = "what was asked was edited, and all is well: the issue is left as it is" if edited else ""
    return _told(clearml, run, wanted, document, again, silence=silence)


def _unreadable(clearml: ClearML, run: Run, again: Rerun | None, error: UsageError) -> ReportResult:
    """A rerun whose parameters make no sense has a verdict as well, but found nothing that the issue could tell."""
    if again is None:
        raise error
    wanted = replace(audit.from_arguments(again.original.arguments), waited_for=False)
    step.require_own_repository(wanted.home.repository, run)
    reason = f"the parameters of this rerun cannot be read: {error}"
    document = verdict.audit_error(wanted, run={"id": run.id, "url": run.url}, reason=reason)
    silence = "nothing was looked at, and the issue is left as it is"
    return {**_told(clearml, run, wanted, document, again, silence=silence), "fault": str(error)}


def _told(
    clearml: ClearML, run: Run, wanted: Audit, document: AuditVerdict, again: Rerun | None, *, silence: str
) -> ReportResult:
    """On the run, and on GitHub where this agent has credentials; else the job that waits for it may.

    `silence`: why nothing is to be told on GitHub, if so.
    """
    asked = audit.as_check(wanted)
    hub, refused = github_access.voice(asked)
    silence = silence or refused
    if silence and not wanted.waited_for:
        document = {**document, "warnings": [*document["warnings"], f"Nothing was told on GitHub: {silence}."]}
    document = {**document, "rerun": again.document if again else None}
    run_results.publish_verdict(clearml, run.id, document)
    body = audit_issue.issue(document)
    return {"verdict": document, "markdown": body, **_post(None if silence else hub, silence, asked, document, body)}


def _post(hub: GitHub | None, silence: str, asked: Check, document: AuditVerdict, body: str) -> Posted:
    posted, url = hub is not None, ""
    try:
        url = publish.audit(hub, asked, document, body) if hub else ""
    except GitHubError as error:
        posted, silence = False, str(error)
    # An audit has no commit status: there is nothing left to set.
    return {"posted": posted, "comment_url": url, "status_set": posted, "warnings": [silence] if silence else []}


if __name__ == "__main__":
    step.main(audit_report)
