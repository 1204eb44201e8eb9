"""A Python that starts programs in milliseconds: it has imported what they need, and forks a process for each.

`python -m tests.agents.fork_server DIRECTORY` listens on a socket in that directory until its standard input ends;
fork_client.py stands for `python` there. Such a process is a real one: with its own variables, arguments, signals and
files. Only its interpreter did not start from nothing, and reads the SDK's default configuration from memory.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import inspect
import json
import os
import pkgutil
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from sandbox.runtime import processes

ROOT = Path(__file__).parents[2]
CLIENT = Path(__file__).with_name("fork_client.py")
SOCKET = "fork-server"
LARGEST = 1 << 20  # bytes of a program's arguments and variables
OF_THE_SDK = ("events", "models", "projects", "queues", "tasks")  # large modules that it imports at the first use
OF_TRAININGS = ("sklearn.datasets", "sklearn.model_selection", "sklearn.neural_network")
PREFIXES = ("CLEARML_", "TRAINS_", "GITHUB_", "GH_")  # nothing of these may reach a module at its import


@dataclass(frozen=True)
class Program:
    """What `python` is asked to run: `arguments` as on its command line."""

    arguments: list[str]
    environment: dict[str, str]
    directory: str


@dataclass
class Server:
    """Forks until its standard input ends. `running`: the connections of its programs, by process id."""

    listener: socket.socket
    signals: socket.socket
    running: dict[int, socket.socket] = field(default_factory=dict)

    def program(self) -> Program | None:
        """Serve to the end: None in the server itself, and in each process that it forks the program to run there."""
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
        """The program in the new process, None in the server."""
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
    """A program as JSON, and the files that are to be its standard input, output and error."""
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


def run(program: Program) -> NoReturn:
    """What `python` does with these arguments, to the end of this process."""
    os.environ.clear()
    os.environ.update(program.environment)
    os.chdir(program.directory)
    tempfile.tempdir = None
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  as the interpreter does at its start
    sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
    execute(program.arguments)


def execute(arguments: list[str]) -> NoReturn:
    """Run a script, or a module after `-m`, as `__main__` of this process."""
    from clearml.config import remote

    remote.override_current_task_id(os.environ.get("CLEARML_TASK_ID"))  # the SDK has read it at its import
    found = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    as_module = arguments[0] == "-m"
    sys.argv = arguments[1:] if as_module else arguments
    sys.path[:0] = [str(Path.cwd() if as_module else Path(sys.argv[0]).resolve().parent), *found]
    codes = [1]
    atexit.register(lambda: _leave(codes[0]))
    try:
        if as_module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
        codes[0] = 0
    except SystemExit as ended:
        codes[0] = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    sys.exit(0)


def _leave(code: int) -> NoReturn:
    """After all that the program itself registered; to take the whole interpreter apart costs more than it ran."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def prepare() -> None:
    """Import what programs need, with nothing in the environment that a module could read."""
    for name in [name for name in os.environ if name.startswith(PREFIXES)]:
        del os.environ[name]
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # threads do not survive a fork
    import clearml_ci

    modules = [module.name for module in pkgutil.walk_packages(clearml_ci.__path__, "clearml_ci.")]
    for name in (*modules, "github", "clearml.automation", *OF_TRAININGS):
        importlib.import_module(name)
    for name in OF_THE_SDK:
        importlib.import_module(f"clearml.backend_api.services.v2_23.{name}")
    sys.path.append(sys.path.pop(0))  # this checkout, found first so far, must hide nothing of a program's
    _quicken()
    inspect.stack()  # the SDK's loggers do so, and it reads where each of a thousand modules is
    gc.collect()
    gc.freeze()


def _quicken() -> None:
    """Spare the SDK what it does anew in each process, with the same result, and look at a run's steps more often."""
    import clearml.config
    from clearml import PipelineController
    from clearml.backend_api import config as api_config
    from clearml.backend_api.session import datamodel
    from clearml.backend_config.config import Config

    Config._read_single_file = staticmethod(functools.cache(Config._read_single_file))
    os.environ["CLEARML_CONFIG_FILE"] = os.devnull
    api_config.load(Path(clearml.config.__file__).parent)  # the defaults, into that cache
    datamodel._CustomValidator.check_schema = lambda *_: None  # of its own requests, at each request
    start = PipelineController.__init__
    PipelineController.__init__ = lambda self, **given: start(self, **{**given, "pool_frequency": 0.1 / 60})


def serve(directory: Path) -> Program | None:
    """As Server.program, on a socket in a directory whose path may be longer than a socket's address."""
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
    """A server below `directory`; yields the beginning of a command that does what `python` does there."""
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
    asked = serve(Path(sys.argv[1]))
    if asked:
        run(asked)
