"""A step as a process of its controller, on the controller's agent: its start, its console, its abort, and its end.

An agent does the same for a task from a queue, with seconds before and after it: it looks for the task, clones the
repository, prepares an environment, and imports the packages. The controller has all that, at the same commit, so its
steps are forks of it. They are made before it has threads, and wait for their tasks.
"""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from pathlib import Path
from typing import Any, cast

from clearml_ci.agent import step
from clearml_ci.agent.step_console import StepConsole
from clearml_ci.clearml_api import patience, sdk, step_tasks, task_fields, task_launch, task_status
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.session import ClearML, ClearMLError, TaskGoneError
from clearml_ci.clearml_api.task_launch import CLEAN_UP, PACE
from clearml_ci.clearml_api.task_status import ENDED
from clearml_ci.core import console, poll
from clearml_ci.core.poll import Clock

# On macOS a fork must not look for a proxy, which each request does (Python's urllib.request, `proxy_bypass`).
_CONTEXT: Any = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "fork")

_LOOK = 1.0  # seconds between two looks at the task's status

_CONSOLE_END = 3.0  # seconds that a check waits for a server that does not take the last lines of a console

_GONE = (TaskGoneError,)  # a user has deleted the task: waiting does not help

_DELETED: Record = {"status": ""}

_RESET_OR_DELETED = ("", "created", "queued")  # the statuses of a run that runs no more, and has no place for a report

_PING = 60.0  # seconds between two signs of life: a server stops tasks that are silent for hours

_CLEAN_UP = CLEAN_UP + PACE.later  # seconds in which a step notices its abort, and ends what it launched

_TERMINATION = 5.0  # seconds

ENDS_WITHIN = _LOOK + _CLEAN_UP + _TERMINATION  # seconds from an abort to the end of the process


@dataclass
class StepProcess:
    """The process of the step of this name. `status` is that of its task: `in_progress` until the process has ended."""

    name: str
    process: BaseProcess
    start: Connection
    console: StepConsole
    status: str = "created"
    cleans_up: bool = False  # after an abort, by itself

    def run(self, task: str, arguments: Sequence[str], *, clock: Clock) -> None:
        """Give the process its task and command line, and follow it in a thread."""
        self.status = "in_progress"
        clearml = clearml_session.connect(clock)  # of its own: the controller uses another at the same time
        threading.Thread(
            target=self._follow,
            args=(clearml, task, arguments),
            name=f"step {self.name}",
            daemon=True,
        ).start()

    def _follow(self, clearml: ClearML, task: str, arguments: Sequence[str]) -> None:
        """Let the process run until it ends, or until a user ends its task, and set the status of the task."""
        status = "failed"
        try:
            if _is_started(clearml, task):
                self.start.send((task, arguments))
                self.console.follow(task, clock=clearml.clock)
                status = _conclude(clearml, task, self._result(clearml, task, run=arguments[0]))
        except Exception as error:  # whatever fails here fails the step alone: the report still runs
            console.log_error(error)
            self._finish()
            status = _conclude(clearml, task, status)
        finally:
            self.console.end(within=_CONSOLE_END)
            self.status = status

    def _result(self, clearml: ClearML, task: str, run: str) -> str:
        """The status that the process leads to: `completed`, `failed`, or `stopped` if its task or run was ended."""
        ended_by_itself = self._watch(clearml, task, run)
        if self.cleans_up:
            self._has_ended(within=_CLEAN_UP)
        self._finish()
        if not ended_by_itself:
            return "stopped"
        return "failed" if self.process.exitcode else "completed"

    def _watch(self, clearml: ClearML, task: str, run: str) -> bool:
        """True once the process has ended by itself, False once a user has ended its task, or has reset the run.

        After a reset the agent kills all processes of the run within seconds: what the step launched has to end before.
        After any other end of the run its controller still reports.
        """
        pinged = poll.started(clearml.clock)
        while not self._has_ended(within=_LOOK):
            with contextlib.suppress(ClearMLError):  # the next look is soon
                found = task_fields.read_existing(clearml, [task, run], ["status", "runtime"])
                if found.get(run, _DELETED)["status"] in _RESET_OR_DELETED:
                    self.cleans_up = False
                    return False
                self.cleans_up = self.cleans_up or task_launch.cleans_up(found.get(task, _DELETED))
                if found.get(task, _DELETED)["status"] != "in_progress":
                    return False
                if pinged.elapsed() > _PING:
                    clearml.call("tasks.ping", task=task)
                    pinged = poll.started(clearml.clock)
        return True

    def _has_ended(self, *, within: float) -> bool:
        self.process.join(within)
        return self.process.exitcode is not None

    def _finish(self) -> None:
        """End the process if it has not ended."""
        if not self._has_ended(within=0):
            self.process.terminate()
            if not self._has_ended(within=_TERMINATION):
                self.process.kill()
                self.process.join()


def prepare(names: Iterable[str]) -> dict[str, StepProcess]:
    """The processes of these steps, which wait for their tasks and end with this process, which has no threads yet.

    If this process is killed, one that executes its step sets the status of its task, and ends what it launched.
    """
    for name in names:
        importlib.import_module(f"steps.{name}")  # once for all forks
    return {name: _waiting(name) for name in names}


def _waiting(name: str) -> StepProcess:
    received, start = _CONTEXT.Pipe(duplex=False)
    output = tempfile.NamedTemporaryFile()  # noqa: SIM115  closed with its StepProcess
    process = _CONTEXT.Process(
        target=_wait_and_run, args=(name, received, output.name), name=f"step {name}", daemon=True
    )
    process.start()
    return StepProcess(name, process, start, StepConsole(output))


def _wait_and_run(name: str, start: Connection, output: str) -> None:
    """Run the step for the task that is received, as an agent would; end if the controller has ended."""
    controller = cast(BaseProcess, parent_process())
    if start not in wait([start, controller.sentinel]):
        return
    task, arguments = start.recv()
    with Path(output).open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())
    os.environ.update(CLEARML_TASK_ID=task, TRAINS_TASK_ID=task)
    sdk.act_as(task)
    sys.argv = [f"steps/{name}.py", *arguments]
    interruption = threading.Thread(target=_end_with, args=(controller, task), daemon=True)
    interruption.start()
    try:
        step.main(getattr(importlib.import_module(f"steps.{name}"), name))
    except Exception as error:  # its traceback may have a secret, which this masks
        console.log_error(error)
        sys.exit(1)
    finally:
        if os.getppid() != controller.pid:
            interruption.join()


def _end_with(controller: BaseProcess, task: str) -> None:
    """Wait until the controller was killed. Then nothing else ends this process and its task: do as for an abort.

    Not by the controller's sentinel, which later forks hold open as long as they live.
    """
    while os.getppid() == controller.pid:
        time.sleep(_LOOK)
    _conclude(clearml_session.connect(Clock()), task, "stopped")
    os.kill(os.getpid(), signal.SIGTERM)


def _is_started(clearml: ClearML, task: str) -> bool:
    """Set the status of the task; False, and the step has failed, if the server refuses that."""
    try:
        started = lambda: clearml.call("tasks.started", task=task)  # noqa: E731
        patience.result(clearml.clock, started, final=_GONE, report=console.log)
    except ClearMLError as error:
        step_tasks.fail(clearml, task, f"the step could not be started: {error}")
        return False
    return True


def _conclude(clearml: ClearML, task: str, status: str) -> str:
    """Set the status of the task, unless a user has done so, and return what it is."""

    def concluded() -> str:
        found = task_status.read(clearml, task)
        if found == "in_progress":
            clearml.call(f"tasks.{status}", task=task)
            return status
        return found if found in ENDED else "stopped"  # a draft: a user has reset it

    try:
        return patience.result(clearml.clock, concluded, final=_GONE, report=console.log)
    except ClearMLError as error:
        console.log(f"the task {task} could not be set to '{status}': {error}")
        return status
