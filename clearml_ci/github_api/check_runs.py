"""The check run: in progress, then the verdict with its Markdown, where the token may. A part of the GitHub gateway."""

import github

from clearml_ci.github_api.session import GitHub, told

# Not the status's name: where both have one name, requiring it requires both, and a check run is not always allowed.
# https://docs.github.com/pull-requests (troubleshooting required status checks). The status is the one to require.
NAME = "{} / verdict"  # of the status's name


_SUMMARY_LIMIT = 65_535  # bytes; documented as characters, https://github.com/github/docs/issues/35252


_FOLD = "\n\n</details>"


_CUT = "\n\n… The rest did not fit here; it is in ClearML.\n"


def start(hub: GitHub, *, commit: str, name: str, url: str) -> int | None:
    """A check run in progress; its id, or None where the token may not: a person's never may. Raises GitHubError."""
    return told(hub, f"the check run of {commit[:10]}", "`checks: write`", lambda: _start(hub, commit, name, url))


def _start(hub: GitHub, commit: str, name: str, url: str) -> int | None:
    try:
        return hub.repository.create_check_run(
            name, commit, status="in_progress", details_url=url or github.GithubObject.NotSet
        ).id
    except github.RateLimitExceededException:  # a 403 as well
        raise
    except github.GithubException as error:
        if error.status == 403:
            return None
        raise


def finish(hub: GitHub, check: int, *, conclusion: str, title: str, summary: str, url: str, end: str = "") -> None:
    """Ends a check run: `success`, `failure`, `neutral` or `cancelled`; the Markdown `summary` is cut to what fits.

    `end` follows it, and is short enough to stay whole. Only with the credentials that started it: GitHub lets no other
    App change it. Raises GitHubError.
    """
    told(
        hub,
        f"the end of check run {check}",
        "`checks: write`, and must be of the App that started it,",
        lambda: hub.repository.get_check_run(check).edit(
            status="completed",
            conclusion=conclusion,
            details_url=url or github.GithubObject.NotSet,
            output={"title": title, "summary": _fitted(summary, end)},
        ),
    )


def _fitted(summary: str, end: str) -> str:
    """Whole lines, as many as fit before the end; a fold that is cut is closed, so that the end is seen."""
    if len((summary + end).encode()) <= _SUMMARY_LIMIT:
        return summary + end
    room = _SUMMARY_LIMIT - len((_FOLD + _CUT + end).encode())
    kept = summary.encode()[:room].decode(errors="ignore")
    kept = kept.rpartition("\n")[0] or kept
    folded = kept.count("<details") > kept.count("</details>")
    return kept + _FOLD * folded + _CUT + end
