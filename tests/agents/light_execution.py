"""A task that a light agent runs: console, end after an abort, and status, as clearml-agent treats them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.runtime.clearml_access import ClearMLError, Client

POLL = 0.5  # seconds
RESETS = 4  # looks that find a draft and change nothing: clearml_agent/commands/worker.py, TaskStopSignal
KILLED_AFTER = 1.0  # seconds from SIGTERM
ABORT_CALLBACK = ("_abort_callback_timeout", "_abort_poll_freq", "_abort_callback_completed")


@dataclass
class Execution:
    """A task's process and console. `terminate_at` is set once the task was aborted: its abort callback ends before."""

    client: Client
    worker: str
    task: str
    process: int
    console: int
    report: Callable[[str], None]
    text: list[bytes] = field(default_factory=list)
    polled: float = field(default_factory=time.monotonic)
    terminate_at: float | None = None
    resets: int = 0

    def follow(self) -> None:
        """Wait until the process has ended, by itself or after an abort, and set the task's status."""
        try:
            while (code := self._exit_code()) is None:
                self._read(wait=POLL)
                if time.monotonic() - self.polled > POLL:
                    self.polled = time.monotonic()
                    self._flush()
                    self.report(self.task)
                    self._end_if_aborted()
            while self._read():
                pass
            if code:
                self._end_if_aborted()  # which may have ended it before this agent polled
            self._conclude(code)
        finally:
            self._signal(signal.SIGKILL)
            os.close(self.console)

    def _exit_code(self) -> int | None:
        process, status = os.waitpid(self.process, os.WNOHANG)
        return os.waitstatus_to_exitcode(status) if process else None

    def _read(self, *, wait: float = 0.0) -> bool:
        """Read the console; return whether there was something."""
        if not select.select([self.console], [], [], wait)[0]:
            return False
        text = os.read(self.console, 1 << 16)
        self.text.append(text)
        if not text:
            time.sleep(min(wait, 0.01))  # closed: the process is about to end
        return bool(text)

    def _flush(self, *lines: str) -> None:
        text = b"".join(self.text).decode(errors="replace") + "".join(f"{line}\n" for line in lines)
        self.text.clear()
        if text:
            event = {"type": "log", "task": self.task, "worker": self.worker, "level": "info", "msg": text}
            self.client.events([{**event, "timestamp": int(time.time() * 1000)}])

    def _end_if_aborted(self) -> None:
        """Terminate the process of an aborted task, after the task's own abort callback."""
        fields = ["status", "status_message", "runtime"]
        (found,) = self.client.call("tasks.get_all", id=[self.task], only_fields=fields, search_hidden=True)["tasks"]
        if found["status"] == "in_progress" and "stopping" not in (found.get("status_message") or ""):
            return
        self.resets += found["status"] == "created"
        if 0 < self.resets <= RESETS:
            return
        timeout, poll, completed = (found.get("runtime", {}).get(name) for name in ABORT_CALLBACK)
        if self.terminate_at is None:
            self.terminate_at = time.monotonic() + (float(timeout) + float(poll or 0) if timeout else 0)
        if time.monotonic() > self.terminate_at + KILLED_AFTER:
            self._signal(signal.SIGKILL)
        elif completed or time.monotonic() >= self.terminate_at:
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process, number)

    def _conclude(self, code: int) -> None:
        if self.terminate_at is not None:
            status, line, reason = "stopped", "Process aborted by user", "task was stopped by tasks.stop"
        elif code == 0:
            status, line, reason = "completed", "Process completed successfully", "worker execution done"
        else:
            status, line = "failed", f"Process failed, exit code {code}"
            reason = f"worker execution exit code {code}"
        self._flush(line)
        with contextlib.suppress(ClearMLError):  # the task has set its own status
            message = f"changed by {self.worker}"
            self.client.call(f"tasks.{status}", task=self.task, status_reason=reason, status_message=message)
        self.report("")
