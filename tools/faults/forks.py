"""Starts Python programs in milliseconds: a process that has imported everything forks one for each command.

`python -m tools.faults.forks` reads commands as JSON lines, `{"argv", "environment", "directory", "log"}`, answers
each with `{"pid"}`, and reports each end with `{"pid", "exit_code"}`. A fork runs its script as `python SCRIPT` would:
with its own environment, its own session, its output in `log`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from sandbox.runtime import quick_sdk

CHECKOUT = Path(__file__).parents[2]
_ENTRIES = ("pipelines", "steps")
OF_THE_SDK = ("events", "models", "projects", "queues", "tasks")  # large modules that it imports at the first use

OF_FORKS = "FAULTS_OF_FORKS"  # variables of the steps that a controller runs, by which the proxy knows them

LONGEST_WAIT = 6.0  # seconds for which a limited request waits here; 60 on real agents


def main() -> None:
    sys.path.insert(0, str(CHECKOUT))
    _import_everything()
    _write({"ready": True})
    command = _serve()
    if command is not None:
        become(command["argv"], command["environment"], directory=command["directory"], log=command["log"])
    else:
        _end_all()


def _import_everything() -> None:
    """The entry points of the product, and with them all that they import."""
    importlib.import_module("ci_trigger")
    for folder in _ENTRIES:
        for file in sorted((CHECKOUT / folder).glob("*.py")):
            importlib.import_module(f"{folder}.{file.stem}")
    for name in OF_THE_SDK:
        importlib.import_module(f"clearml.backend_api.services.v2_23.{name}")
    quick_sdk.quicken()
    quick_sdk.lock_tasks_by_process()
    _shorten_waits()
    gc.collect()
    gc.freeze()


def _shorten_waits() -> None:
    """Have the audit look again soon, and take a run for dead soon: no run of a case is silent and then goes on.

    GitHub's "limit of minutes" is one of seconds here, and so are the waits for it.
    """
    vars(importlib.import_module("clearml_ci.operations.stale_checks"))["SECOND_LOOK"] = 3
    vars(importlib.import_module("clearml_ci.decisions.stale_checks"))["SILENT_FOR"] = 8.0
    github = vars(importlib.import_module("clearml_ci.github_api.session"))
    github["_LONGEST_WAIT"], github["_WAITED_FOR_LIMITS"] = LONGEST_WAIT, 2 * LONGEST_WAIT


def _serve() -> dict[str, Any] | None:
    """The command of a fork, in that fork; None in the process itself, once its input has ended."""
    pending = b""
    while True:
        ready, _, _ = select.select([0], [], [], 0.02)
        _report_ends()
        if not ready:
            continue
        block = os.read(0, 65_536)
        if not block:
            return None
        *lines, pending = (pending + block).split(b"\n")
        for line in lines:
            command: dict[str, Any] = json.loads(line)
            pid = os.fork()
            if pid == 0:
                return command
            _write({"pid": pid})


def _report_ends() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        _write({"pid": pid, "exit_code": os.waitstatus_to_exitcode(status)})


def _write(document: dict[str, Any]) -> None:
    os.write(1, json.dumps(document).encode() + b"\n")


def _end_all() -> None:
    """The laboratory is gone: so is everything that it started."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def become(argv: list[str], environment: dict[str, str], *, directory: str, log: str) -> None:
    """Run a script as the main program of this freshly forked process, in a session of its own."""
    os.setsid()
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    if given := environment.get(OF_FORKS):
        os.register_at_fork(after_in_child=lambda: os.environ.update(json.loads(given)))
    sys.argv = argv
    sys.path.insert(0, str(Path(argv[0]).parent))
    # The SDK reads this variable once, as it is imported.
    importlib.import_module("clearml.config.remote").override_current_task_id(environment.get("CLEARML_TASK_ID"))
    runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
