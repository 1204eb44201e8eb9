"""Pending statuses and check runs in progress of a commit, by whichever token they were made."""

from github import GithubException, RateLimitExceededException

from clearml_ci.decisions.stale_checks import Unfinished
from clearml_ci.github_api import check_runs, statuses
from clearml_ci.github_api.session import GitHub, call_github

_NO_COMMIT = 422  # "No commit found for SHA"


_VERDICT = check_runs.NAME.format("")


def read(github: GitHub, commit: str, *, named: str) -> list[Unfinished]:
    """The unfinished checks of a commit whose names begin with `named`; none if GitHub does not know the commit.

    Raises GitHubError.
    """
    return call_github(
        github,
        f"the statuses and check runs of {commit[:10]}",
        "`statuses: write` and `checks: write`",
        lambda: [check for check in _read(github, commit) if _is_named(check.name, named)],
    )


def _is_named(name: str, named: str) -> bool:
    return name == named or name.startswith((f"{named}: ", f"{named} ("))


def _read(github: GitHub, commit: str) -> list[Unfinished]:
    try:
        found = list(statuses.newest(github, commit))
    except GithubException as error:
        if error.status == _NO_COMMIT:
            return []
        raise
    pending = [
        Unfinished(commit, status.context, status.target_url or "", status.updated_at.isoformat())
        for status in found
        if status.state == "pending"
    ]
    return [*pending, *_in_progress(github, commit)]


def _in_progress(github: GitHub, commit: str) -> list[Unfinished]:
    """None if the token may not read check runs: then no job made any with it."""
    try:
        found = list(github.repository.get_commit(commit).get_check_runs(status="in_progress", filter="all"))
    except RateLimitExceededException:  # also a 403
        raise
    except GithubException as error:
        if error.status == 403:
            return []
        raise
    return [
        Unfinished(commit, run.name.removesuffix(_VERDICT), run.details_url or "", run.started_at.isoformat(), run.id)
        for run in found
        if run.name.endswith(_VERDICT)
    ]
