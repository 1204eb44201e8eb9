"""Audit the checks of commits: a status that stays pending without a live run becomes an error."""

from clearml_ci.agent import step
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.step_results import StaleChecksResult
from clearml_ci.decisions import audit_findings
from clearml_ci.github_api.session import GitHubError, NoCredentialsError
from clearml_ci.operations import github_access, run_report, stale_checks
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters


def audit_stale_checks(services: Services, run: Run) -> StaleChecksResult:
    """The findings about stale checks, each of which is finished as an error, and what could not be looked at.

    If this agent has no credentials for GitHub, the job that waits for the audit finishes them.
    """
    audit = audit_parameters.from_arguments(run.arguments)
    run_report.require_own_repository(audit.home.repository, run)
    try:
        github = github_access.connect(services.github, audit_parameters.as_check(audit))
        look = stale_checks.find(services, github, run, audit)
    except NoCredentialsError as error:
        notes = [] if audit.waited_for else [f"{stale_checks.UNREAD}: {error}"]
        return {"findings": [], "notes": notes, "unseen": []}
    except GitHubError as error:
        return {"findings": [], "notes": [], "unseen": [f"{stale_checks.UNREAD}: {error}"]}
    notes = [*look.notes]
    findings = [stale_checks.settle(services, github, stale, notes, clean_up=audit.clean_up) for stale in look.stale]
    return {"findings": audit_findings.as_documents(findings), "notes": notes, "unseen": []}


if __name__ == "__main__":
    step.main(audit_stale_checks)
