"""Set the status of a commit whose run was ended in ClearML's web UI, when no job waits for the run."""

from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core import console
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import statuses
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.operations import github_access, rerun, run_report
from clearml_ci.operations.services import Services
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters.check import Check

_ENDED = "the run was ended in ClearML before its verdict: rerun it"


def set_error(services: Services, run: Run) -> None:
    """Set the pending status that links to this run, which has ended, to an error.

    A step calls it that finds its run ended: the controller holds no GitHub credentials. What ClearML or GitHub refuses
    is logged, and left to the audit.
    """
    try:
        check = check_parameters.from_arguments(rerun.judged(services.clearml, run, step=services.own_task).arguments)
        run_report.require_own_repository(check.pull_request.repository, run)
        github = github_access.connect_if_possible(services.github, check)
        if github and check.has_status and not check.waited_for:
            _finish(github, check, run)
    except (ClearMLError, GitHubError, UsageError) as error:
        console.log(f"the status of the run's commit is left as it is: {error}")


def _finish(github: GitHub, check: Check, run: Run) -> None:
    if statuses.latest(github, commit=check.status_commit, name=check.check_name) == ("pending", run.url):
        statuses.create(
            github, commit=check.status_commit, name=check.check_name, state="error", description=_ENDED, url=run.url
        )
