"""The modes in which a check comments.

Whether an outcome is new is decided by the last comment alone, which holds its outcome in a hidden line at its head.
"""

import re

MODES = ("always", "on-change", "on-failure", "off")


_OUTCOME = re.compile(r"<!-- clearml-ci outcome: (\w+) -->")


def outcome_line(outcome: str) -> str:
    """The hidden line after a comment's marker, from which the next check reads the outcome of this one."""
    return f"<!-- clearml-ci outcome: {outcome} -->"


def outcome_of(body: str) -> str | None:
    """The outcome in the hidden lines at a comment's head, None if there is none."""
    for line in body.splitlines():
        match = _OUTCOME.fullmatch(line.strip())
        if match:
            return match[1]
        if line.strip() and not line.startswith("<!--"):
            return None
    return None


def writes(mode: str, *, body: str, failure: bool, earlier: str | None) -> bool:
    """True if `body` is to become the pull request's comment; `earlier` is the body of the present one, or None.

    `on-change`: the outcome is another one; a first comment is a change unless the check passed. A comment without an
    outcome is always replaced. `on-failure`: a failure is posted, and after that also its end.
    """
    if mode == "on-change":
        outcome = outcome_of(body)
        before = "passed" if earlier is None else outcome_of(earlier)
        return outcome is None or outcome != before
    if mode == "on-failure":
        return failure or earlier is not None
    return mode == "always"
