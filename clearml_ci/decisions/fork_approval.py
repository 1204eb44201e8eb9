"""Approval of a fork's code: it runs on an agent only after a user with write access approved that very commit."""

import re
from collections.abc import Iterable

from clearml_ci.parameters.check import Check

# A whole hash: a commit that begins like the approved one is quickly made.
_COMMAND = re.compile(r"^\s*/run-remote\s+([0-9a-fA-F]{40})\s*$", re.MULTILINE)


WRITERS = ("admin", "maintain", "write")


DELETED = (
    "the fork of this pull request was deleted, so its code cannot be cloned: "
    "restore the fork, or push the branch to the repository itself"
)


def approvers(check: Check, comments: Iterable[tuple[str, str]]) -> list[str]:
    """Logins that approved exactly this commit, by the label or by a comment; comments are (login, text).

    The author of the pull request is left out. The caller checks if one of them has write access.
    """
    pull = check.pull_request
    commented = [login for login, text in comments for sha in _COMMAND.findall(text) if sha.lower() == check.commit]
    logins = dict.fromkeys([pull.labeled_by, *commented])
    return [login for login in logins if login and login.lower() != pull.author.lower()]


def advice(check: Check, *, label: str) -> str:
    """The message about a commit that is not approved, and how to approve it."""
    source = check.pull_request.head_repository
    return (
        f"code from the fork {source} runs on an agent only after a user with write access approved this commit: "
        f"review it, then add the label '{label}', or comment: /run-remote {check.commit}"
    )
