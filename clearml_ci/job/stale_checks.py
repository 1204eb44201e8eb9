"""Finish the stale checks of commits that an audit's agent could not: those of the workflow's App, or all of them."""

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.core.step_results import ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.decisions.stale_checks import STALE
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job.reporter import Reporter
from clearml_ci.operations import stale_checks
from clearml_ci.operations.github_access import GitHubAccess
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters


def are_left(report: ReportResult) -> bool:
    """True if this is the report of an audit whose agent has no credentials for GitHub, or that found stale checks.

    Only the workflow's own token can end a check run that it started.
    """
    document = report["verdict"]
    if not verdict.is_audit(document):
        return False
    return not report["posted"] or any(finding["kind"] == STALE for finding in document["findings"])


def finish(clearml: ClearML, reporter: Reporter, run_id: str, clock: Clock) -> None:
    """Finish the stale checks with the job's own token; each is a warning of the job."""
    if reporter.github is None:
        return
    notes: list[str] = []
    try:
        run = pipeline_runs.read(clearml, run_id)
        audit = audit_parameters.from_arguments(run.arguments)
        services = Services(clearml, GitHubAccess(audit.home.github_api), clock)
        look = stale_checks.find(services, reporter.github, run, audit)
        for stale in look.stale:
            finding = stale_checks.settle(services, reporter.github, stale, notes, clean_up=audit.clean_up)
            reporter.warn(f"{finding.subject.name}: {finding.message}")
    except (ClearMLError, GitHubError, UsageError) as error:
        notes.append(f"{stale_checks.UNREAD}: {error}")
    for note in notes:
        reporter.warn(note)
