"""Starts programs for a case, by a fork of a process that has imported everything, and knows how each ended."""

from __future__ import annotations

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tools.faults import forks


@dataclass
class Program:
    """A program that was started; `exit_code` is negative if a signal ended it, None while it runs."""

    pid: int
    exit_code: int | None = None
    ended: threading.Event = field(default_factory=threading.Event, repr=False)

    def wait(self, seconds: float) -> bool:
        """True if it has ended within this time."""
        return self.ended.wait(seconds)

    def send(self, number: signal.Signals) -> None:
        """A signal to the program alone."""
        if self.exit_code is None:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(self.pid).send_signal(number)

    def family(self) -> list[psutil.Process]:
        """Its descendants, and itself last."""
        try:
            root = psutil.Process(self.pid)
            return [*root.children(recursive=True), root]
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """KILL to the program and its descendants, as when their machine is lost."""
        for process in self.family():
            with suppress(psutil.NoSuchProcess):
                process.kill()


class Launcher:
    """The process that forks; one for all cases of a worker."""

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tools.faults.forks"],
                cwd=forks.CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                start_new_session=True,
            )
        self._lock = threading.Lock()
        self._started: queue.Queue[Program] = queue.Queue()
        self._programs: dict[int, Program] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def start(self, argv: Sequence[str], environment: Mapping[str, str], *, directory: Path, log: Path) -> Program:
        """Run `python ARGV` with exactly this environment; its output goes to the end of `log`."""
        command = {"argv": list(argv), "environment": dict(environment), "directory": str(directory), "log": str(log)}
        with self._lock:
            assert self._process.stdin is not None  # noqa: S101  Popen was asked for a pipe
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
            return self._started.get(timeout=60)

    def close(self) -> None:
        assert self._process.stdin is not None  # noqa: S101  Popen was asked for a pipe
        self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()

    def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101  Popen was asked for a pipe
        for line in self._process.stdout:
            report = json.loads(line)
            if "exit_code" in report:
                program = self._programs.pop(report["pid"])
                program.exit_code = report["exit_code"]
                program.ended.set()
            elif "pid" in report:
                self._programs[report["pid"]] = Program(report["pid"])
                self._started.put(self._programs[report["pid"]])
