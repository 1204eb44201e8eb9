"""Report an audit: on the run, and in the repository's one issue."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import AuditVerdict, RunDocument
from clearml_ci.core.step_results import ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.operations import github_access, run_report
from clearml_ci.operations.run_report import Request
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters import requested
from clearml_ci.parameters.audit import Audit
from clearml_ci.report import audit_issue


def audit_report(services: Services, run: Run) -> ReportResult:
    """The verdict, the issue that shows it, and what GitHub took of both; `comment_url` is the issue's."""
    request = run_report.read(services, run, requested.audit_of, identify=audit_parameters.from_arguments)
    check = audit_parameters.as_check(request.parameters)
    run_report.require_own_repository(check.pull_request.repository, run)
    document = _verdict(services.clearml, run, request)
    github, refusal = github_access.for_report(services.github, check)
    edited = bool(request.rerun and request.rerun.is_edited)
    withheld = verdict.why_issue_stays(document, unchecked=bool(request.error), edited=edited) or refusal
    document = run_report.stamped(document, request.rerun, withheld="" if check.waited_for else withheld)
    body = audit_issue.issue(document)
    return run_report.finish(services, run, check, document, body, github=github, withheld=withheld)


def _verdict(clearml: ClearML, run: Run, request: Request[Audit]) -> AuditVerdict:
    """Compose the verdict from what the steps left."""
    identity: RunDocument = {"id": run.id, "url": run.url}
    if request.error:
        return verdict.audit_error(request.parameters, run=identity, reason=request.reason)
    steps = {name: step.document for name, step in run_results.steps(clearml, run.id).items()}
    planned = audit_parameters.plan(run.arguments)
    return verdict.for_audit(request.parameters, run=identity, steps=steps, planned=planned)


if __name__ == "__main__":
    step.main(audit_report)
