"""Report the verdict of a check, a promotion or a rollback: on the run, in one comment, as a commit status."""

from clearml_ci.agent import step
from clearml_ci.clearml_api import acceptance_ledger, run_results, task_metrics
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import RunDocument, VerdictDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import ReportResult
from clearml_ci.decisions import accepted_losses, promotion, verdict
from clearml_ci.operations import chart_curves, github_access, main_history, publish, run_report
from clearml_ci.operations.run_report import Request
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import requested
from clearml_ci.parameters.check import Check
from clearml_ci.report import comment
from clearml_ci.report.plots import Charts


def report(services: Services, run: Run) -> ReportResult:
    """The verdict, the comment that shows it, and what GitHub took of both."""
    clearml = services.clearml
    request = run_report.read(services, run, requested.check_of, identify=check_parameters.from_arguments)
    run_report.require_own_repository(request.parameters.pull_request.repository, run)
    check, document = _verdict(clearml, run, request)
    github, withheld = github_access.for_report(services.github, check)
    if request.rerun:
        kept = run_report.why_kept(github, check, request, document)
        withheld = withheld or kept or publish.outdated(github, check)
    document = run_report.stamped(document, request.rerun, withheld=withheld if request.rerun else "")
    scalars = task_metrics.scalars(clearml, document["candidate"]["id"]) if document["candidate"] else []
    curves, histories = chart_curves.read(clearml, check, document), main_history.read(clearml, check, document)
    body = comment.comment(document, scalars, curves, histories)
    if document["outcome"] == Outcome.ACCEPTED:
        acceptance_ledger.record(clearml, accepted_losses.entry(document))
    drawn = Charts(curves, histories)
    return run_report.finish(services, run, check, document, body, github=github, withheld=withheld, charts=drawn)


def _verdict(clearml: ClearML, run: Run, request: Request[Check]) -> tuple[Check, VerdictDocument]:
    """Compose the verdict from what the steps left; also the check that it is about."""
    identity: RunDocument = {"id": run.id, "url": run.url}
    if request.error:
        return request.parameters, verdict.error(request.parameters, run=identity, reason=request.reason)
    steps = run_results.steps(clearml, run.id)
    check = promotion.subject(request.parameters, run_results.typed(steps)["promote"])
    documents = {name: step.document for name, step in steps.items()}
    return check, verdict.for_check(check, run=identity, steps=documents)


if __name__ == "__main__":
    step.main(report)
