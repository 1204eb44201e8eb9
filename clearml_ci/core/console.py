"""The console of a step and the log of a job: no line shows a secret that the process holds, or commands the runner."""

import logging
import re
import sys
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from clearml_ci.core import redaction
from clearml_ci.core.formatting import WORD_JOINER

# What GitHub's runner executes: `::` at the start of a line, and `##[` anywhere (actions/runner, ActionCommand.cs).
_COMMAND = re.compile(r"^\s*:(?=:)|##(?=\[)", re.MULTILINE)


def protect(environ: Mapping[str, str]) -> None:
    """Mask the secrets of this environment in all that leaves the process, also in what libraries log and raise."""
    redaction.hold(redaction.secrets_of(environ))
    sys.excepthook = _unexpected
    threading.excepthook = _unexpected_in_thread
    logging.setLogRecordFactory(_record)


def log(line: str) -> None:
    """Print a line immediately; no text in it is a command to the runner."""
    log_command(_without_commands(redaction.outgoing(line)))


def log_error(error: BaseException) -> None:
    """Print the traceback of an unexpected error; its text and that of the libraries are not ours."""
    log(_traceback(error))


def log_command(line: str) -> None:
    """Print a line as it is: a command to the runner, which does not show it."""
    print(line, flush=True)  # noqa: T201  read on the console of a task, or in the log of a job


def _unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:  # noqa: ARG001
    log_error(error)


def _unexpected_in_thread(raised: threading.ExceptHookArgs) -> None:
    if raised.exc_value and not isinstance(raised.exc_value, SystemExit):
        log_error(raised.exc_value)


def _traceback(error: BaseException) -> str:
    return _masked("".join(traceback.format_exception(error)).rstrip())


def _masked(text: str) -> str:
    return _without_commands("\n".join(redaction.mask_lines(text.splitlines())))


def _without_commands(text: str) -> str:
    return _COMMAND.sub(rf"\g<0>{WORD_JOINER}", text)


def _record(*arguments: Any, **named: Any) -> logging.LogRecord:
    """A record of a library's log, with its message and its error masked."""
    record = logging.LogRecord(*arguments, **named)
    try:
        text = record.getMessage()
    except (TypeError, ValueError):  # arguments that do not fit
        text = f"{record.msg} {record.args}"
    record.msg, record.args = _masked(text), ()
    if record.exc_info and record.exc_info[1]:
        record.exc_text = _traceback(record.exc_info[1])  # a formatter takes it as it is
    return record
