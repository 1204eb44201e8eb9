"""A comment that accepts a loss: it starts the check of its commit anew, as the pull request's event would."""

from collections.abc import Mapping

from clearml_ci.decisions import accepted_losses
from clearml_ci.github_api import credentials, pull_requests
from clearml_ci.github_api import session as github_session
from clearml_ci.job import event_context, events
from clearml_ci.job.events import Event
from clearml_ci.operations import accepted_losses as acceptances
from clearml_ci.parameters.check import Check

EVENT = "issue_comment"


def is_one(environ: Mapping[str, str]) -> bool:
    """True if the job's event is a comment."""
    return environ.get("GITHUB_EVENT_NAME", "").strip() == EVENT


def pull_request(environ: Mapping[str, str]) -> tuple[Event | None, str]:
    """The event of the pull request as it is now, or None and the reason why the comment asks for nothing.

    Anybody can comment: who wrote it is looked at by `refusal`. Raises GitHubError and UsageError.
    """
    event = events.read(environ)
    repository, number = events.repository(event), events.at(event, "issue", "number")
    command = accepted_losses.commit_and_rest(events.text(event, "comment", "body"))
    if command is None or events.at(event, "issue", "pull_request") is None or type(number) is not int:
        return None, f"the comment begins with no line '{accepted_losses.line('<full hash>')}' on a pull request"
    if event.get("action") != "created":
        return None, "only a new comment accepts a loss"
    github = event_context.connect(environ, repository, reason="GitHub knows the pull request of a comment")
    pull = pull_requests.payload(github, number)
    if events.text(pull, "state") != "open":
        return None, f"pull request #{number} is not open any more"
    if (head := events.text(pull, "head", "sha")) != command[0]:
        return None, f"the comment names the commit {command[0][:10]}, but pull request #{number} is at {head[:10]}"
    return {"action": "accepted", "pull_request": pull, "repository": event["repository"]}, ""


def refusal(environ: Mapping[str, str], check: Check) -> str:
    """Reason why the comment accepts no loss of this check, or "". Raises GitHubError and UsageError."""
    token, pull = credentials.token(environ), check.pull_request
    github = github_session.connect(
        api_url=pull.github_api,
        token=token,
        repository=pull.repository,
        comment_authors=check.comment_authors,
    )
    url = events.text(events.read(environ), "comment", "html_url")
    found = next((each for each in acceptances.read(github, check) if each.comment == url), None)
    if found is None:
        return "the comment is gone, or a program wrote it"
    return f"the comment of {found.by} accepts nothing: {found.refusal}" if found.refusal else ""
