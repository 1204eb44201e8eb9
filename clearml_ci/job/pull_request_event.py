"""The pull request and the commits that a GitHub event names, checked before anything starts."""

from clearml_ci.core import redaction, repository_url
from clearml_ci.core.errors import UsageError
from clearml_ci.job import events
from clearml_ci.job.events import Event
from clearml_ci.parameters import texts
from clearml_ci.parameters.pull_request import PullRequest

_LONGEST_TITLE = 200  # characters


def pull_request(event: Event, *, github_api: str) -> PullRequest:
    """The pull request of an event. Raises UsageError if it names none."""
    number, full_name = events.at(event, "pull_request", "number"), events.repository(event)
    if type(number) is not int or not 0 < number < 10**10:  # a bool is an int
        raise UsageError(
            "the pull-request event names no number: start the job by an event of GitHub's, or name a command"
        )
    return PullRequest(
        repository=full_name,
        number=number,
        repositories=_repositories(event),
        github_api=github_api,
        author=events.text(event, "pull_request", "user", "login"),
        head_repository=events.text(event, "pull_request", "head", "repo", "full_name"),
        head_url=repository_url.without_credentials(events.text(event, "pull_request", "head", "repo", "clone_url")),
        base=events.text(event, "pull_request", "base", "ref"),
        default_branch=events.text(event, "repository", "default_branch"),
        title=redaction.line(events.text(event, "pull_request", "title"), _LONGEST_TITLE),
    )


def head(event: Event, *, expected: str) -> str:
    """The pull request's head commit, which must be the `expected` one, if that is given. Raises UsageError."""
    sha = texts.commit(events.text(event, "pull_request", "head", "sha"), "pull_request.head.sha of the event")
    if expected and expected != sha:
        raise UsageError(
            f"COMMIT_ID is {expected}, but the pull request's head is {sha}: remove COMMIT_ID, "
            "or set it to ${{ github.event.pull_request.head.sha }} (GITHUB_SHA is a merge commit)"
        )
    return sha


def merge_commit(event: Event) -> str:
    """The commit that the merge made. Raises UsageError."""
    made = events.text(event, "pull_request", "merge_commit_sha")
    if not made:
        number = event["pull_request"].get("number")
        raise UsageError(f"the event of pull request #{number} names no merge commit yet: run this job again")
    return texts.commit(made, "pull_request.merge_commit_sha of the event")


def _repositories(event: Event) -> tuple[str, ...]:
    """Clone addresses of head and base; `head.repo` is null if the fork was deleted."""
    sides = [events.at(event, "pull_request", side, "repo") for side in ("head", "base")]
    urls = [events.text(side, "clone_url") for side in [*sides, events.at(event, "repository")]]
    return tuple(dict.fromkeys(repository_url.without_credentials(url) for url in urls if url))
