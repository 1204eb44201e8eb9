"""A small agent in a process of its own: takes tasks from one queue and runs each in a fork, as clearml-agent does.

The fork runs the script of the task (a controller, a step) from this checkout, without clone and environment. The code
of a pull request is not run: `training` plays what it would report. Settings come from FAULTS_* variables. What the
agent asks for itself goes to FAULTS_API, and what its tasks ask for goes to the CLEARML_* addresses.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import requests

from tools.faults import forks

POLL = 0.15  # seconds between two looks at the queue, or at a process
LOOK = 0.5  # seconds between two looks at the task that runs
REPORT = 10.0  # seconds between two signs of life
SIGN = 2.0  # seconds between two signs of life of the task that runs; audits take it for dead soon (forks.py)
GRACE = 5.0  # seconds between TERM and KILL
ENDED = ("stopped", "closed", "published", "failed", "completed")


class Server:
    """The calls of the agent itself; each is repeated until the server answers."""

    def __init__(self) -> None:
        self._http = requests.Session()
        self._http.auth = (os.environ["CLEARML_API_ACCESS_KEY"], os.environ["CLEARML_API_SECRET_KEY"])
        self._url = os.environ["FAULTS_API"]

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """The server's answer; empty if it refuses."""
        while (data := self._answer(endpoint, body)) is None:
            time.sleep(0.3)
        return data

    def _answer(self, endpoint: str, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            answer = self._http.post(f"{self._url}/{endpoint}", json=body, timeout=10)
            return dict(answer.json().get("data") or {})
        except (requests.RequestException, ValueError):
            return None

    def log(self, task: str, text: str) -> None:
        event = {"type": "log", "task": task, "level": "INFO", "timestamp": int(time.time() * 1000), "msg": text}
        self.call("events.add_batch", events=[event])


class Console:
    """The output of a task, sent to the server as it grows."""

    def __init__(self, server: Server, task: str, path: Path) -> None:
        self._server, self._task, self._path = server, task, path
        self._sent = 0

    def send(self) -> None:
        text = self._path.read_bytes()[self._sent :]
        if text:
            self._sent += len(text)
            self._server.log(self._task, text.decode(errors="replace"))


def main() -> None:
    server, worker, queue = Server(), os.environ["FAULTS_WORKER"], os.environ["FAULTS_QUEUE"]
    signal.signal(signal.SIGTERM, _leave)
    server.call("workers.register", worker=worker, queues=[queue], timeout=600)
    reported = time.monotonic()
    while True:
        if time.monotonic() - reported > REPORT:
            server.call("workers.status_report", worker=worker, queues=[queue], timestamp=int(time.time()))
            reported = time.monotonic()
        entry = server.call("queues.get_next_task", queue=queue).get("entry")
        if entry:
            _run(server, entry["task"], worker)
        else:
            time.sleep(POLL)


def _leave(*_: object) -> None:
    sys.exit(0)


def _run(server: Server, task: str, worker: str) -> None:
    """Run one task to its end, and set the status that its end calls for."""
    script = server.call("tasks.get_by_id", task=task).get("task", {}).get("script", {})
    server.call("tasks.started", task=task, status_reason=f"launched by worker {worker}")
    path = Path(os.environ["FAULTS_LOGS"]) / f"{task}.log"
    path.touch()
    console = Console(server, task, path)
    server.log(task, "Starting Task Execution:\n")
    pid = os.fork()
    if pid == 0:
        _become(task, script, path)
    try:
        code = _watch(server, task, pid, console, worker)
    except SystemExit:
        _kill(pid)
        server.call("tasks.stopped", task=task, status_reason="the agent was ended")
        raise
    console.send()
    _conclude(server, task, code)


def _conclude(server: Server, task: str, code: int | None) -> None:
    if code is None:
        server.call("tasks.stopped", task=task, status_reason="task was stopped by tasks.stop")
    elif code == 0:
        server.call("tasks.completed", task=task, status_reason="worker execution done")
    else:
        server.call("tasks.failed", task=task, status_reason=f"worker execution exit code {code}")


def _become(task: str, script: Mapping[str, Any], log: Path) -> None:
    """In the fork: run the task's script to the end of this process."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    own = {"CLEARML_TASK_ID": task, "TRAINS_TASK_ID": task, "FAULTS_COMMIT": str(script.get("version_num") or "")}
    environment = {**os.environ, **own, "PYTHONUNBUFFERED": "1"}
    command = _command(str(script.get("entry_point") or ""))
    forks.become(command, environment, directory=str(forks.CHECKOUT), log=str(log))
    sys.exit(0)


def _command(entry: str) -> list[str]:
    """The script itself; of a user's code, what it would report; a brief controller in place of the SDK's."""
    own = forks.CHECKOUT / "tools/faults"
    if entry.startswith("-m steps."):
        module, *ids = entry.removeprefix("-m ").split()
        return [str(forks.CHECKOUT / f"{module.replace('.', '/')}.py"), *ids]
    script = forks.CHECKOUT / entry
    if script.parent.name not in ("pipelines", "steps"):
        return [str(own / "training.py")]
    brief = script.parent.name == "pipelines" and os.environ.get("FAULTS_CONTROLLER") == "brief"
    return [str(own / "brief_controller.py"), str(script)] if brief else [str(script)]


def _watch(server: Server, task: str, pid: int, console: Console, worker: str) -> int | None:
    """The exit code of the task's process; None if the task was aborted, and its process ended because of it."""
    looked, aborting, reported = time.monotonic(), 0.0, -SIGN
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) if not aborting else None
        if time.monotonic() - reported > SIGN:
            reported = time.monotonic()
            server.call("workers.status_report", worker=worker, task=task, timestamp=int(time.time()))
        if time.monotonic() - looked > LOOK:
            looked = time.monotonic()
            console.send()
            seen = _look(server, task)
            if _is_aborted(seen):
                aborting = aborting or time.monotonic()
                if _may_end(seen, waited=time.monotonic() - aborting):
                    _kill(pid)
                    return None
        time.sleep(POLL)


def _look(server: Server, task: str) -> dict[str, Any]:
    fields = ["id", "status", "status_message", "runtime"]
    found = server.call("tasks.get_all", id=[task], only_fields=fields, search_hidden=True).get("tasks") or [{}]
    return dict(found[0])


def _is_aborted(task: dict[str, Any]) -> bool:
    return task.get("status") in ENDED or "stopping" in str(task.get("status_message") or "")


def _may_end(task: dict[str, Any], *, waited: float) -> bool:
    """A task that registered a callback gets its time to clean up (clearml_agent/commands/worker.py)."""
    runtime = task.get("runtime") or {}
    allowed = float(runtime.get("_abort_callback_timeout") or 0) + float(runtime.get("_abort_poll_freq") or 0)
    return bool(runtime.get("_abort_callback_completed")) or waited >= allowed


def _kill(pid: int) -> None:
    """End a process with its descendants: TERM, and KILL for what remains."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        _signal(process, signal.SIGTERM)
    deadline = time.monotonic() + GRACE
    while time.monotonic() < deadline and os.waitpid(pid, os.WNOHANG)[0] == 0:
        time.sleep(POLL)
    for process in family:
        _signal(process, signal.SIGKILL)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return


if __name__ == "__main__":
    main()
