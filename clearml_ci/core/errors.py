"""The one error that a person can mend by changing what they wrote."""

import difflib
from collections.abc import Iterable


class UsageError(ValueError):
    """Wrong usage or configuration: exit code 2, one line that says what to do."""


def nearest(name: str, known: Iterable[str], *, what: str) -> str:
    """`; did you mean 'gpu'?` or the list of what there is, to end a message about an unknown name."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; {what}: {', '.join(names[:20])}" if names else f"; {what}: none"
