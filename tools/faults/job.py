"""A CI job that was started: its process, its files, and how it ended."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from tools.faults.launcher import Program


@dataclass
class Job:
    """A job. `commit` is the one whose status it sets, empty for none; `statuses` are its ids when the job had ended.

    `signalled`: the signal that a person or a machine sent to it; `hung`: it had to be killed.
    """

    name: str
    commit: str
    pull: int
    waits: bool
    deadline: float
    directory: Path
    program: Program
    began: float
    seconds: float = 0.0
    signalled: str = ""
    hung: bool = False
    statuses: list[int] = field(default_factory=list)
    done: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def log(self) -> str:
        """Its output as GitHub shows it: the runner carries out the commands that mask a value, and prints none."""
        lines = _read(self.directory / "log").splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith("::add-mask::"))

    @property
    def summary(self) -> str:
        return _read(self.directory / "summary.md")

    @property
    def outputs(self) -> dict[str, str]:
        lines = _read(self.directory / "output").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


def _read(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
