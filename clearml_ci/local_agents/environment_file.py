"""Files of variables for systemd and compose, which only their owner can read: the secrets stand nowhere else."""

import os
from collections.abc import Mapping
from pathlib import Path

from clearml_ci.core.errors import UsageError


def write(path: Path, variables: Mapping[str, str]) -> None:
    """Replace a file of `NAME='value'` lines. Raises UsageError if it cannot be written, or a value not be quoted."""
    text = "".join(f"{name}={_quoted(name, value)}\n" for name, value in variables.items() if value)
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): name another folder") from error


def _quoted(name: str, value: str) -> str:
    """The value as systemd (systemd.exec(5)) and compose read it: nothing is special between single quotes.

    A key of several lines becomes one, with `\\n` in place of each end of a line.
    """
    line = "\\n".join(value.strip().splitlines())
    if "'" in line:
        raise UsageError(f"{name} holds a single quote, which files of variables cannot: choose another value")
    return f"'{line}'"
