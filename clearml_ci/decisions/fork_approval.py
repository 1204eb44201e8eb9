"""Approval of a fork's code: it runs on an agent only after a user with write access approved that very commit."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from clearml_ci.core.formatting import duration
from clearml_ci.parameters.check import Check

# The whole first line, so that it is in no quote, no code fence and no HTML comment; four spaces would make it code.
# A whole hash: a commit that begins like the approved one is quickly made.
_COMMAND = re.compile(r"\s*?^ {0,3}/run-remote[ \t]+([0-9a-fA-F]{40})[ \t]*\r?$", re.MULTILINE)


OURS = "<!-- clearml-ci"  # each marker of ours begins with it: what we post may quote anybody


WRITERS = ("admin", "maintain", "write")


# GitHub records what a label was added to, not what its user had seen. A commit that arrived this long before the label
# was on the page by then.
SEEN_AFTER = timedelta(minutes=1)


DELETED = (
    "the fork of this pull request was deleted, so its code cannot be cloned: "
    "restore the fork, or push the branch to the repository itself"
)


@dataclass(frozen=True)
class Labeling:
    """The label of approval as it is now: who added it last, and when.

    `head` is the pull request's head; `pushed` is the time of the last push to its repository, None if that is unknown.
    """

    login: str
    at: datetime
    head: str
    pushed: datetime | None


def approvers(check: Check, comments: Iterable[tuple[str, str]], labeling: Labeling | None = None) -> list[str]:
    """Logins that approved exactly this commit, by the label or by a comment; comments are (login, text).

    The author of the pull request is left out. The caller checks if one of them has write access.
    """
    labeled = [labeling.login] if labeling and not doubt(check, labeling) else []
    commented = [login for login, text in comments if approved_commit(text) == check.commit]
    logins = dict.fromkeys([*labeled, *commented])
    return [login for login in logins if login and login.lower() != check.pull_request.author.lower()]


def approved_commit(text: str) -> str:
    """The commit that a comment approves, "" if it approves none. The command counts on the first line alone."""
    found = _COMMAND.match(text)
    return found[1].lower() if found and OURS not in text else ""


def doubt(check: Check, labeling: Labeling) -> str:
    """Reason why the label may have been meant for another commit, or ""."""
    if labeling.head != check.commit:
        return f"the pull request has moved on to {labeling.head[:10]}"
    if labeling.pushed is None:
        return "GitHub does not state when the fork was last pushed to"
    if labeling.at < labeling.pushed:
        return "the fork was pushed to after the label was added"
    if (passed := labeling.at - labeling.pushed) < SEEN_AFTER:
        return f"the label was added {duration(passed.total_seconds())} after the last push to the fork"
    return ""


def advice(check: Check, *, label: str, labeling: Labeling | None = None) -> str:
    """The message about a commit that is not approved, and how to approve it."""
    source, command = check.pull_request.head_repository, f"comment: /run-remote {check.commit}"
    unseen = doubt(check, labeling) if labeling else ""
    how = f"review it, then add the label '{label}', or {command}"
    if unseen:
        how = f"the label '{label}' does not count, because {unseen}; review this commit, then {command}"
    return (
        f"code from the fork {source} runs on an agent only after a user with write access approved this commit: {how}"
    )
