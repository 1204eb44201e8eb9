"""A Python program that runs in a forked process, as if `python` had started it there."""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True)
class Program:
    """The command line after `python`, the environment variables and the working directory of a program."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str


def run(program: Program) -> NoReturn:
    """Run a script, or a module after `-m`, as `__main__` of this process, and end the process with it."""
    os.environ.clear()
    os.environ.update(program.environment)
    os.chdir(program.directory)
    tempfile.tempdir = None  # it depends on the environment
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  open to the end, as those of the interpreter
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    _set_task_of_sdk()
    _execute(program.arguments)


def _set_task_of_sdk() -> None:
    """Let the SDK know the task of this process: it read the variable at its import."""
    from clearml.config import remote

    remote.override_current_task_id(os.environ.get("CLEARML_TASK_ID"))


def _execute(arguments: list[str]) -> NoReturn:
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    as_module = arguments[0] == "-m"
    sys.argv = arguments[1:] if as_module else arguments
    sys.path[:0] = [str(Path.cwd() if as_module else Path(sys.argv[0]).resolve().parent), *paths]
    code = 1
    atexit.register(lambda: _leave(code))  # after all that the program registers: the last comes first
    try:
        if as_module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        raise
    sys.exit(0)


def _leave(code: int) -> NoReturn:
    """End the process without taking the interpreter apart, which costs more than most programs."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
