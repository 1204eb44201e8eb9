"""A Python that starts programs in milliseconds: it has imported what they need, and forks a process for each.

`python -m tests.agents.fork_server DIRECTORY` listens on a socket in that directory until its standard input ends, and
fork_client.py stands for `python`. A program has a process of its own, with its own environment, arguments, files and
signals; only its interpreter did not start from nothing.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.runtime import processes, quick_sdk
from tests.agents import forked_program
from tests.agents.forked_program import Program

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("fork_client.py")
SOCKET = "fork-server"
LARGEST = 1 << 20  # bytes of a program's arguments and variables
OF_THE_SDK = ("events", "models", "projects", "queues", "tasks")  # large modules that it imports at the first use
OF_TRAININGS = ("sklearn.datasets", "sklearn.model_selection", "sklearn.neural_network")


@dataclass
class Server:
    """Forks until its standard input ends. `running`: the connections of its programs, by process id."""

    listener: socket.socket
    signals: socket.socket
    running: dict[int, socket.socket] = field(default_factory=dict)

    def program(self) -> Program | None:
        """Serve until the input ends. Return None in the server itself, and in a forked process its program."""
        while True:
            sources: list[int | socket.socket] = [0, self.listener, self.signals, *self.running.values()]
            ready, _, _ = select.select(sources, [], [])
            if 0 in ready:
                self._end()
                return None
            for process, connection in self.running.items():
                if connection in ready:
                    _pass_signals(process, connection)
            if self.signals in ready:
                self.signals.recv(4096)
                self._report_ended()
            if self.listener in ready and (program := self._fork()):
                return program

    def _fork(self) -> Program | None:
        """Return the program in the new process, None in the server."""
        connection, _ = self.listener.accept()
        text, files = _receive(connection)
        process = os.fork()
        if process:
            self.running[process] = connection
            for file in files:
                os.close(file)
            return None
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for inherited in (self.listener, self.signals, connection, *self.running.values()):
            inherited.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return Program(**json.loads(text))

    def _report_ended(self) -> None:
        while self.running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            with self.running.pop(process) as connection, contextlib.suppress(OSError):  # its client was killed
                connection.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())

    def _end(self) -> None:
        for process in self.running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGTERM)


def _receive(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return a program as JSON, and the files that become its standard input, output and error."""
    message, files, _, _ = socket.recv_fds(connection, LARGEST, 3)
    size, _, text = message.partition(b"\n")
    while len(text) < int(size):
        text += connection.recv(LARGEST)
    return text, files


def _pass_signals(process: int, connection: socket.socket) -> None:
    """Pass on the signals that the client received; a client that is killed takes its program with it."""
    text = connection.recv(64)
    for number in text.split():
        os.kill(process, int(number))
    if not text:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)


def prepare() -> None:
    """Import what programs need, in a clean environment."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not survive a fork
    import clearml_ci

    modules = [module.name for module in pkgutil.walk_packages(clearml_ci.__path__, "clearml_ci.")]
    for name in (*modules, "github", "clearml.automation", *OF_TRAININGS):
        importlib.import_module(name)
    for name in OF_THE_SDK:
        importlib.import_module(f"clearml.backend_api.services.v2_23.{name}")
    sys.path.append(sys.path.pop(0))  # this checkout, found first so far, must hide nothing of a program's
    quick_sdk.quicken()
    quick_sdk.lock_tasks_by_process()
    gc.collect()
    gc.freeze()


def serve(directory: Path) -> Program | None:
    """As Server.program, on a socket in the directory, whose path may be longer than a socket's address."""
    here = Path.cwd()
    os.chdir(directory)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(64)
    os.chdir(here)
    waker, signals = socket.socketpair()
    waker.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker.fileno())
    os.write(1, b"ready\n")
    return Server(listener, signals).program()


@contextlib.contextmanager
def running(directory: Path) -> Iterator[tuple[str, ...]]:
    """Run a server below `directory`; yield the beginning of a command that stands for `python`."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, mode=0o700)
    command = [sys.executable, "-m", __name__, str(directory)]
    environment = processes.clean_environment(directory / "home")
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as server:
        assert server.stdin is not None and server.stdout is not None  # Popen was asked for pipes
        assert server.stdout.readline()
        yield (sys.executable, "-I", "-S", str(CLIENT), str(directory))


if __name__ == "__main__":
    prepare()
    program = serve(Path(sys.argv[1]))
    if program:
        forked_program.run(program)
