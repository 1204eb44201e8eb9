"""The commands of the Makefile in a clone of this checkout's commit, with the packages of this environment."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox.runtime import processes
from sandbox.runtime.clearml_access import Access

ROOT = Path(__file__).parents[2]
VENV = Path(sys.prefix)
INSTALLED = [f"--old-file={VENV}/{stamp}" for stamp in (".installed", ".installed-tests")]
Make = Callable[[str], str]


def cloned(directory: Path) -> Path:
    """A clone in which nothing has been built yet."""
    clone = directory / "clearml-ci"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    (clone / "build" / "tmp").mkdir(parents=True)
    return clone


def of(clone: Path, access: Access) -> Make:
    """Runs a make command in the clone, and returns its output."""
    environment = processes.clean_environment(clone.parent / "home", access.environment())

    def run(command: str) -> str:
        program, *arguments = command.split()
        given = [program, "--no-print-directory", "-C", str(clone), f"VENV={VENV}", *INSTALLED, *arguments]
        done = subprocess.run(given, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
