"""A program of the fork server: the same to its caller as a program of `python`."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents import fork_server

PROGRAM = """\
import atexit, os, signal, sys
atexit.register(lambda: print("at exit", flush=True))
print("arguments", sys.argv[1:], "in", os.getcwd(), "with", os.environ["GIVEN"], "reads", sys.stdin.read())
print("to standard error", file=sys.stderr)
how = sys.argv[1]
if how == "wait":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
    signal.pause()
elif how == "raise":
    raise ValueError("not found")
elif how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit({"end": None, "code": 3, "message": "it failed"}[how])
"""


@pytest.fixture(scope="module")
def forking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    with fork_server.running(tmp_path_factory.mktemp("forks") / "server") as command:
        yield command


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.mark.parametrize("how", ["end", "code", "message", "raise", "killed"])
def test_program__of_any_end__does_what_python_does(forking: tuple[str, ...], program: Path, how: str) -> None:
    def ended(*python: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [*python, str(program), how],
            cwd=program.parent,
            env={"GIVEN": "a variable", "PYTHONUNBUFFERED": "1"},
            input="some input",
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr.splitlines()[-1]

    assert ended(*forking) == ended(sys.executable)


def test_program__terminated__ends_by_its_own_handler(forking: tuple[str, ...], program: Path) -> None:
    with subprocess.Popen(
        [*forking, str(program), "wait"],
        env={"GIVEN": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout is not None and b"wait" in running.stdout.readline()
        time.sleep(0.1)
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 7


def test_program__client_killed__ends_as_well(forking: tuple[str, ...], program: Path) -> None:
    with subprocess.Popen(
        [*forking, str(program), "wait"],
        env={"GIVEN": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as running:
        assert running.stdout is not None and b"wait" in running.stdout.readline()
        running.kill()
        assert running.stdout.read() == b""  # its other end is closed
