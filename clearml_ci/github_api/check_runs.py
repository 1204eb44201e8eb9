"""The check run of a commit: in progress while the pipeline runs, then completed with the verdict's Markdown.

Workflow tokens and Apps can write check runs, if they have the permission; a person's token never can.
"""

import contextlib

from github import GithubException, RateLimitExceededException
from github.GithubObject import NotSet

from clearml_ci.core import redaction
from clearml_ci.github_api import lost_responses
from clearml_ci.github_api.session import GitHub, call_github

# The name differs from the status's: if both had one name, requiring it would require both, and not every token can
# write a check run. https://docs.github.com/pull-requests (troubleshooting required status checks). Require the status.
NAME = "{} / verdict"  # of the status's name


_REPLACED = {"title": "replaced by a newer check of this commit", "summary": "Its own job ended without a verdict."}


LONGEST_TITLE = 200  # characters that the page of a check run shows well


_SUMMARY_LIMIT = 65_535  # bytes; documented as characters, https://github.com/github/docs/issues/35252


_END_OF_DETAILS = "\n\n</details>"


_CUT = "\n\n… The rest did not fit here; it is in ClearML.\n"


def start(github: GitHub, *, commit: str, name: str, url: str) -> int | None:
    """Start a check run in progress; its id, or None if the token cannot write check runs. Raises GitHubError.

    `url` is the address of the pipeline run, by which the check run is found if GitHub's answer is lost. Earlier ones
    of this name on the commit that are still in progress, because their jobs were killed, are cancelled.
    """

    def request() -> int | None:
        started = _start(github, commit, name, url)
        if started is not None:
            _cancel_earlier(github, commit, name, started)
        return started

    return call_github(github, f"the check run of {commit[:10]}", "`checks: write`", request)


def _start(github: GitHub, commit: str, name: str, url: str) -> int | None:
    def create() -> int:
        return github.repository.create_check_run(name, commit, status="in_progress", details_url=url or NotSet).id

    def find() -> int | None:
        started = github.repository.get_commit(commit).get_check_runs(check_name=name, status="in_progress")
        return next((run.id for run in started if url and run.details_url == url), None)

    try:
        return lost_responses.create_once(create, find)
    except RateLimitExceededException:  # also a 403
        raise
    except GithubException as error:
        if error.status == 403:
            return None
        raise


def _cancel_earlier(github: GitHub, commit: str, name: str, started: int) -> None:
    for run in github.repository.get_commit(commit).get_check_runs(check_name=name, status="in_progress", filter="all"):
        if run.id < started:
            with contextlib.suppress(GithubException):  # that of another App, which only it can change
                run.edit(status="completed", conclusion="cancelled", output=_REPLACED)


def finish(
    github: GitHub, check_run: int, *, conclusion: str, title: str, summary: str, url: str, end: str = ""
) -> None:
    """Complete a check run. Raises GitHubError, also if another App started it: GitHub lets no other App change it.

    `conclusion` is `success`, `failure`, `neutral` or `cancelled`. The Markdown `summary` is cut to what fits; `end`
    follows it, and is short enough to stay whole.
    """
    call_github(
        github,
        f"the end of check run {check_run}",
        "`checks: write`, and must be of the App that started it,",
        lambda: github.repository.get_check_run(check_run).edit(
            status="completed",
            conclusion=conclusion,
            details_url=url or NotSet,
            output={
                "title": redaction.outgoing(title),
                "summary": _fit(redaction.outgoing(summary), redaction.outgoing(end)),
            },
        ),
    )


def _fit(summary: str, end: str) -> str:
    """As many whole lines as fit before the end; `<details>` that are cut are closed, so that the end is visible."""
    if len((summary + end).encode()) <= _SUMMARY_LIMIT:
        return summary + end
    room = _SUMMARY_LIMIT - len((_END_OF_DETAILS + _CUT + end).encode())
    kept = summary.encode()[:room].decode(errors="ignore")
    kept = kept.rpartition("\n")[0] or kept
    is_open = kept.count("<details") > kept.count("</details>")
    return kept + _END_OF_DETAILS * is_open + _CUT + end
