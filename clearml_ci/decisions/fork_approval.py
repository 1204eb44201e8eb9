"""May code from a fork run on an agent? Only after someone with write access approved that very commit.

Pure: it names those whose word would count; whether they may write to the repository is asked of GitHub.
"""

import re
from collections.abc import Iterable

from clearml_ci.parameters.check import Check

# A whole hash: a commit that begins like the approved one is quickly made.
_COMMAND = re.compile(r"^\s*/run-remote\s+([0-9a-fA-F]{40})\s*$", re.MULTILINE)


WRITERS = ("admin", "maintain", "write")


DELETED = (
    "the fork that this pull request comes from was deleted, so its code cannot be cloned: "
    "restore the fork, or push the branch to the repository itself"
)


def claims(check: Check, comments: Iterable[tuple[str, str]]) -> list[str]:
    """The logins that approved exactly this commit: by the label's own event, or by a comment (login, text).

    The author's own word never counts.
    """
    said = [login for login, text in comments for sha in _COMMAND.findall(text) if sha.lower() == check.commit]
    pull = check.pull_request
    wanted = [pull.labeled_by, *said]
    return [login for login in dict.fromkeys(wanted) if login and login.lower() != pull.author.lower()]


def advice(check: Check, *, label: str) -> str:
    """What to do about a commit that nobody approved."""
    source = check.pull_request.head_repository
    return (
        f"code from the fork {source} runs on an agent only after someone with write access approved this commit: "
        f"look at it, then add the label '{label}', or comment: /run-remote {check.commit}"
    )
