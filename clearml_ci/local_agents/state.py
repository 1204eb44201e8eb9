"""The record of the agents that run here, for `--status`, `--stop` and the next start."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

_FILE = "agents.json"


@dataclass(frozen=True)
class Recorded:
    """One agent: its process, which leads a group of processes, and when it was started, in seconds since 1970."""

    worker: str
    queue: str
    directory: str
    process: int
    since: float
    failures: int = 0


@dataclass(frozen=True)
class State:
    """The process that watches the agents, since when it does, and whether all of them have been up."""

    process: int
    since: float
    ready: bool = False
    agents: tuple[Recorded, ...] = ()


def write(folder: Path, state: State) -> None:
    """Replace the record of this folder."""
    new = folder / f"{_FILE}.new"
    new.write_text(json.dumps(dataclasses.asdict(state), indent=1), encoding="utf-8")
    new.chmod(0o600)
    new.replace(folder / _FILE)


def read(folder: Path) -> State | None:
    """The record of this folder; None if there is none that can be read."""
    try:
        document = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return State(**{**document, "agents": tuple(Recorded(**agent) for agent in document["agents"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(folder: Path) -> None:
    """Remove the record of this folder."""
    (folder / _FILE).unlink(missing_ok=True)
