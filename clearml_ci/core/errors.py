"""The error that a user can repair by changing the configuration or the command."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Wrong usage or configuration: exit code 2, and one line that states what to do."""


def nearest(name: str, known: Iterable[str], *, what: str) -> str:
    """The end of a message about an unknown name: `; did you mean 'gpu'?`, or the list of the known names."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; {what}: {', '.join(names[:20])}" if names else f"; {what}: none"
