"""Read who added a label to a pull request, and when its code was last pushed."""

from datetime import datetime

from github.IssueEvent import IssueEvent

from clearml_ci.decisions.fork_approval import Labeling
from clearml_ci.github_api.session import GitHub, call_github


def labeling(github: GitHub, number: int, label: str) -> Labeling | None:
    """The label as it is on a pull request now; None if it is not on it. Raises GitHubError.

    The event that started a job does not suffice: it is older than a push that came in between.
    """
    return call_github(
        github,
        f"the labels of pull request #{number}",
        "`pull-requests: read`",
        lambda: _labeling(github, number, label.lower()),
    )


def _labeling(github: GitHub, number: int, label: str) -> Labeling | None:
    last = None
    for event in github.repository.get_issue(number).get_events():
        if event.event in ("labeled", "unlabeled") and event.label.name.lower() == label:
            last = event
    if last is None or last.event == "unlabeled":
        return None
    head = github.repository.get_pull(number).head  # read after the label: a later push shows in both of its fields
    return Labeling(_login(last), last.created_at, head.sha, _pushed_at(head.repo))


def _login(event: IssueEvent) -> str:
    return event.actor.login if event.actor else ""


def _pushed_at(repository: object) -> datetime | None:
    """None if the fork was deleted, or was never pushed to."""
    pushed = getattr(repository, "pushed_at", None)
    return pushed if isinstance(pushed, datetime) else None
