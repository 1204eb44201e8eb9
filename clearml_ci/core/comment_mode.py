"""When does a check comment? The last comment's own outcome, in a hidden line at its head, is all that it compares."""

import re

MODES = ("always", "on-change", "on-failure", "off")


_OUTCOME = re.compile(r"<!-- clearml-ci outcome: (\w+) -->")


def outcome_line(outcome: str) -> str:
    """The hidden line that follows a comment's marker, by which the next check sees what this one said."""
    return f"<!-- clearml-ci outcome: {outcome} -->"


def outcome_of(body: str) -> str | None:
    """What a comment says, from the hidden lines at its head alone; None where they do not tell."""
    for line in body.splitlines():
        found = _OUTCOME.fullmatch(line.strip())
        if found:
            return found[1]
        if line.strip() and not line.startswith("<!--"):
            return None
    return None


def writes(mode: str, *, body: str, failure: bool, earlier: str | None) -> bool:
    """Is `body` to be the pull request's comment? `earlier` is the body of the one there is, or None.

    `on-change`: where the outcome is another one; a first comment is a change unless the check passed. A comment that
    does not tell its outcome is always replaced. `on-failure`: a failure is told, and once told also its end.
    """
    if mode == "on-change":
        outcome = outcome_of(body)
        before = "passed" if earlier is None else outcome_of(earlier)
        return outcome is None or outcome != before
    if mode == "on-failure":
        return failure or earlier is not None
    return mode == "always"
