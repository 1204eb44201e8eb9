"""The commit status: what branch protection requires."""

from github.CommitStatus import CommitStatus
from github.GithubObject import NotSet
from github.PaginatedList import PaginatedList

from clearml_ci.core import redaction
from clearml_ci.core.formatting import shorten_at_word
from clearml_ci.github_api.session import GitHub, call_github

DESCRIPTION_LIMIT = 140  # characters, https://docs.github.com/rest/commits/statuses


def latest(github: GitHub, *, commit: str, name: str) -> tuple[str, str] | None:
    """State and link of the commit status of this name; None if there is none. Raises GitHubError."""
    found = _read(github, commit)
    return next(((status.state, status.target_url or "") for status in found if status.context == name), None)


def before(github: GitHub, *, commit: str, name: str, own: tuple[str, str]) -> tuple[str, str] | None:
    """State and link of the status of this name before the `own` ones, which have this state and link.

    None if there is none. Raises GitHubError.
    """

    def found() -> tuple[str, str] | None:
        every = github.repository.get_commit(commit).get_statuses()  # the newest first
        ours = ((status.state, status.target_url or "") for status in every if status.context == name)
        return next((status for status in ours if status != own), None)

    return call_github(github, f"the commit statuses of {commit[:10]}", "`statuses: read`", found)


def verdicts(github: GitHub, *, commit: str, name: str) -> list[tuple[str, str]]:
    """Time in UTC, and link, of each status of this name that is not pending, newest first. Raises GitHubError."""
    return call_github(
        github,
        f"the commit statuses of {commit[:10]}",
        "`statuses: read`",
        lambda: [
            (status.created_at.isoformat(), status.target_url or "")
            for status in github.repository.get_commit(commit).get_statuses()
            if status.context == name and status.state != "pending"
        ],
    )


def names(github: GitHub, *, commit: str) -> list[str]:
    """The names of the commit's statuses. Raises GitHubError."""
    return [status.context for status in _read(github, commit)]


def _read(github: GitHub, commit: str) -> list[CommitStatus]:
    action = f"the commit statuses of {commit[:10]}"
    return call_github(github, action, "`statuses: read`", lambda: list(newest(github, commit)))


def newest(github: GitHub, commit: str) -> PaginatedList[CommitStatus]:
    """The newest status of each name. Raises what PyGithub raises, whose own method reads the first page alone."""
    repository = github.repository
    url = f"{repository.url}/commits/{commit}/status"
    return PaginatedList(CommitStatus, repository.requester, url, None, list_item="statuses")


def create(
    github: GitHub, *, commit: str, name: str, state: str, description: str, url: str, repeated: bool = True
) -> str:
    """Create a commit status, which replaces the earlier one of its name; its API address. Raises GitHubError.

    `state` is `pending`, `success`, `failure` or `error`; a long description is cut. A `repeated` request is sent
    again after any failure: two equal statuses are as one.
    """
    repository = github.repeating if repeated else github.repository
    return call_github(
        github,
        f"the commit status of {commit[:10]}",
        "`statuses: write`",
        lambda: _address(
            repository.get_commit(commit).create_status(
                state=state,
                target_url=url or NotSet,
                description=shorten_at_word(redaction.outgoing(description), DESCRIPTION_LIMIT),
                context=name,
            )
        ),
    )


def _address(status: CommitStatus) -> str:
    """The API address of a status. Raises ValueError if the response shows none."""
    if not status.url:
        raise ValueError("it shows no status")
    return status.url
