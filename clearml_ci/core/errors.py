"""The error that a user can repair by changing the configuration or the command."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Wrong usage or configuration: exit code 2, and one line that states what to do.

    `log_only` completes the line in a log: names of other teams' projects or queues, which no comment shows.
    """

    def __init__(self, message: str, *, log_only: str = "") -> None:
        super().__init__(message)
        self.log_only = log_only


def nearest(name: str, known: Iterable[str], *, what: str) -> str:
    """The end of a message about an unknown name: `; did you mean 'gpu'?`, or the list of the known names."""
    names = list(known)
    return did_you_mean(name, names) or listing(names, what=what)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'gpu'?`, or "" if no known name is near."""
    close = difflib.get_close_matches(name, sorted(set(known)), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def listing(known: Iterable[str], *, what: str) -> str:
    """`; queues: cpu, gpu`: the first 20 names."""
    return f"; {what}: {', '.join(sorted(set(known))[:20]) or 'none'}"
