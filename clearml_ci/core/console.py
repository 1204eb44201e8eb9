"""The console of a step and the log of a job: no line shows a secret that the process holds."""

import traceback

from clearml_ci.core import redaction


def log(line: str) -> None:
    """Print a line immediately."""
    log_command(redaction.outgoing(line))


def log_error(error: BaseException) -> None:
    """Print the traceback of an unexpected error; its text and that of the libraries are not ours."""
    log("\n".join(redaction.mask_lines("".join(traceback.format_exception(error)).splitlines())))


def log_command(line: str) -> None:
    """Print a line as it is: a command to the runner, which does not show it."""
    print(line, flush=True)  # noqa: T201  read on the console of a task, or in the log of a job
