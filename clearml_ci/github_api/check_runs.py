"""The check run of a commit: in progress while the pipeline runs, then completed with the verdict's Markdown.

Workflow tokens and Apps can write check runs, if they have the permission; a person's token never can.
"""

import contextlib

from github import GithubException, RateLimitExceededException
from github.GithubObject import NotSet

from clearml_ci.core import redaction
from clearml_ci.core.formatting import shorten
from clearml_ci.github_api import lost_responses
from clearml_ci.github_api.session import GitHub, call_github, require

# The name differs from the status's: if both had one name, requiring it would require both, and not every token can
# write a check run. https://docs.github.com/pull-requests (troubleshooting required status checks). Require the status.
NAME = "{} / verdict"  # of the status's name


_REPLACED = {"title": "replaced by a newer check of this commit", "summary": "Its own job ended without a verdict."}


_LONGEST_TITLE = 200  # characters: GitHub takes more, and shows less


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
        made = github.repository.create_check_run(name, commit, status="in_progress", details_url=url or NotSet)
        require(bool(made.id))
        return made.id

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


def latest_conclusions(github: GitHub, *, commit: str, name: str) -> set[str]:
    """The conclusions of the newest ended check run of each App with this name. Raises GitHubError."""

    def request() -> set[str]:
        found = github.repository.get_commit(commit).get_check_runs(check_name=name, status="completed")
        return {run.conclusion for run in found}

    return call_github(github, f"the check runs of {commit[:10]}", "`checks: read`", request)


def finish(
    github: GitHub, check_run: int, *, conclusion: str, title: str, summary: str, url: str, end: str = ""
) -> None:
    """Complete a check run. Raises GitHubError, also if another App started it: GitHub lets no other App change it.

    `conclusion` is `success`, `failure`, `neutral` or `cancelled`. The title and the Markdown `summary` are masked, and
    then cut to what fits; `end` follows, and is short enough to stay whole.
    """

    def request() -> None:
        run = github.repository.get_check_run(check_run)
        run.edit(
            status="completed",
            conclusion=conclusion,
            details_url=url or NotSet,
            output={
                "title": shorten(redaction.outgoing(title), _LONGEST_TITLE),
                "summary": _fit(redaction.outgoing_body(summary), redaction.outgoing(end)),
            },
        )
        require(run.status == "completed")

    needed = "`checks: write`, and must be of the App that started it,"
    call_github(github, f"the end of check run {check_run}", needed, request)


def _fit(summary: str, end: str) -> str:
    """As many whole lines as fit before the end; `<details>` that are cut are closed, so that the end is visible."""
    if len((summary + end).encode()) <= _SUMMARY_LIMIT:
        return summary + end
    room = _SUMMARY_LIMIT - len((_END_OF_DETAILS + _CUT + end).encode())
    kept = summary.encode()[:room].decode(errors="ignore")
    kept = kept.rpartition("\n")[0] or kept
    is_open = kept.count("<details") > kept.count("</details>")
    return kept + _END_OF_DETAILS * is_open + _CUT + end
