"""The console of a step and the log of a job: no line shows a secret that the process holds, or commands the runner."""

import re
import traceback

from clearml_ci.core import redaction
from clearml_ci.core.formatting import WORD_JOINER

# What GitHub's runner executes: `::` at the start of a line, and `##[` anywhere (actions/runner, ActionCommand.cs).
_COMMAND = re.compile(r"^\s*:(?=:)|##(?=\[)", re.MULTILINE)


def log(line: str) -> None:
    """Print a line immediately. Whatever it holds, it is no command to the runner."""
    log_command(_COMMAND.sub(rf"\g<0>{WORD_JOINER}", redaction.outgoing(line)))


def log_error(error: BaseException) -> None:
    """Print the traceback of an unexpected error; its text and that of the libraries are not ours."""
    log("\n".join(redaction.mask_lines("".join(traceback.format_exception(error)).splitlines())))


def log_command(line: str) -> None:
    """Print a line as it is: a command to the runner, which does not show it."""
    print(line, flush=True)  # noqa: T201  read on the console of a task, or in the log of a job
