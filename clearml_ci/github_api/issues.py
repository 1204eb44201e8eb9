"""Create or update exactly one issue per repository and audit name, which reports what the audit found.

It is found by a marker and a trusted author, and stays one despite concurrent audits and lost responses: see
`marked_post`.
"""

from github import GithubException
from github.Issue import Issue
from github.NamedUser import NamedUser

from clearml_ci.core import redaction
from clearml_ci.github_api import marked_post
from clearml_ci.github_api.session import GitHub, call_github, require

MOST_PAGES = 10  # of 100 issues and pull requests, for each trusted author


_SPARE = "The audit's findings are in #{number}: two audits ran concurrently."


def upsert(github: GitHub, *, marker: str, title: str, body: str, open_: bool) -> str:
    """Create the issue, update it, close it or reopen it; its address. Raises GitHubError.

    `body` begins with the marker. Returns "" if there is no issue and `open_` is false: no findings, no issue.
    """
    return call_github(
        github, "the audit's issue", "`issues: write`", lambda: _upsert(github, marker, title, body, open_=open_)
    )


def _upsert(github: GitHub, marker: str, title: str, body: str, *, open_: bool) -> str:
    title, body = redaction.outgoing(title), redaction.outgoing_body(body)
    ours = _ours(github, marker, github.trusted)
    if not ours and not open_:
        return ""
    kept, *spare = ours or marked_post.create(
        lambda authors: _ours(github, marker, authors),
        lambda: github.repository.create_issue(title, body),
        trusted=github.trusted,
    )
    state = "open" if open_ else "closed"
    if (before := (kept.title, kept.body, kept.state)) != (title, body, state):
        kept.edit(title=title, body=body, state=state)
        require((kept.title, kept.body, kept.state) != before)
    for issue in spare:  # issues cannot be deleted: without the marker it is not ours any more
        issue.edit(body=_SPARE.format(number=kept.number), state="closed", state_reason="not_planned")
    return kept.html_url


def _ours(github: GitHub, marker: str, authors: frozenset[str]) -> list[Issue]:
    """Our issues, open or closed, oldest first. Requested author by author: a repository can have many issues.

    Both are requested each time: the step and the job can have opened one each, as two authors.
    """
    by_author = [issue for author in sorted(authors) for issue in _by_author(github, author, marker, authors)]
    return marked_post.oldest_first([*by_author, *_by_writers(github, marker, authors)])


def _by_writers(github: GitHub, marker: str, authors: frozenset[str]) -> list[Issue]:
    """Those of other authors that are ours, among the 100 issues and pull requests that changed last."""
    newest = github.repository.get_issues(state="all", sort="updated", direction="desc").get_page(0)
    others = (issue for issue in newest if marked_post.author(issue) not in authors)
    found = marked_post.by_writers(github, others, marker=marker, authors=authors)
    return [issue for issue in found if issue.pull_request is None]


def _by_author(github: GitHub, author: str, marker: str, authors: frozenset[str]) -> list[Issue]:
    """An author's issues that are ours, up to the first page that has any, MOST_PAGES at most.

    The latest updated come first: an audit updates its issue each time, so it is soon found.
    """
    creator = NamedUser(github.repository.requester, {}, {"login": author})  # PyGithub takes no plain login
    listed = github.repository.get_issues(state="all", creator=creator, sort="updated", direction="desc")
    try:
        for number in range(MOST_PAGES):
            page = listed.get_page(number)
            ours = [issue for issue in page if _is_ours(issue, marker, authors)]
            if ours or len(page) < github.repository.requester.per_page:
                return ours
    except GithubException as error:
        if error.status != 422:  # an account that GitHub does not know
            raise
    return []


def _is_ours(issue: Issue, marker: str, authors: frozenset[str]) -> bool:
    # In this order: PyGithub sends a request to learn that an issue is no pull request.
    return marked_post.is_ours(issue, marker=marker, authors=authors) and issue.pull_request is None
