"""One issue a repository that tells what the audit found: opened, updated in place, closed. Part of the GitHub gateway.

Like the pull request's comment it is found by a marker and a trusted author, and two audits at once, or a reply that
was lost, leave one of them.
"""

import github
import requests
from github.Issue import Issue
from github.NamedUser import NamedUser

from clearml_ci.github_api.session import GitHub, told

MOST_PAGES = 10  # of 100 issues and pull requests, for each author that is trusted


_SPARE = "The audit's findings are in #{number}: two audits started at once."


def upsert(hub: GitHub, *, marker: str, title: str, body: str, open_: bool) -> str:
    """The address of the repository's one issue, opened, updated or closed; empty where all is well and there is none.

    `body` begins with the marker. Raises GitHubError.
    """
    return told(
        hub, "the audit's issue", "`issues: write`", lambda: _upsert(hub, marker, title=title, body=body, open_=open_)
    )


def _upsert(hub: GitHub, marker: str, *, title: str, body: str, open_: bool) -> str:
    ours = _marked(hub, marker, hub.trusted)
    if not ours and not open_:
        return ""
    kept, *spare = ours or _create(hub, marker, title, body)
    state = "open" if open_ else "closed"
    if (kept.title, kept.body, kept.state) != (title, body, state):
        kept.edit(title=title, body=body, state=state)
    for issue in spare:  # issues cannot be deleted: without the marker it is not looked at again
        issue.edit(body=_SPARE.format(number=kept.number), state="closed", state_reason="not_planned")
    return kept.html_url


def _create(hub: GitHub, marker: str, title: str, body: str) -> list[Issue]:
    """Create, then look again: another audit may have opened one too, or the reply to ours may have been lost."""
    try:
        created = hub.repository.create_issue(title, body)
    except requests.RequestException:
        found = _marked(hub, marker, hub.trusted)
        if found:
            return found
        created = hub.repository.create_issue(title, body)
    listed = _marked(hub, marker, hub.trusted | {created.user.login.lower()})
    return sorted({one.number: one for one in (*listed, created)}.values(), key=lambda one: one.number)


def _marked(hub: GitHub, marker: str, authors: frozenset[str]) -> list[Issue]:
    """Issues of ours, open or closed, oldest first. GitHub is asked author by author: a repository can have many."""
    found = [issue for author in sorted(authors) for issue in _of(hub, author, marker, authors)]
    return sorted({one.number: one for one in found}.values(), key=lambda one: one.number)


def _of(hub: GitHub, author: str, marker: str, authors: frozenset[str]) -> list[Issue]:
    """An author's issues that are ours, as far as the first page with one of them, and MOST_PAGES at most.

    Those that changed last come first: an audit changes its issue each time, so it is soon found.
    """
    creator = NamedUser(hub.repository.requester, {}, {"login": author})  # PyGithub takes no plain login
    listed = hub.repository.get_issues(state="all", creator=creator, sort="updated", direction="desc")
    try:
        for number in range(MOST_PAGES):
            page = listed.get_page(number)
            ours = [issue for issue in page if _is_ours(issue, marker, authors)]
            if ours or len(page) < hub.repository.requester.per_page:
                return ours
    except github.GithubException as error:
        if error.status != 422:  # an account that GitHub does not know
            raise
    return []


def _is_ours(issue: Issue, marker: str, authors: frozenset[str]) -> bool:
    mine = issue.user is not None and issue.user.login.lower() in authors
    # In this order: to learn that an issue is no pull request, PyGithub asks GitHub for it.
    return mine and (issue.body or "").startswith(marker) and issue.pull_request is None
