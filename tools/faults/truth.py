"""The two sides that the oracle compares: the possible ends of a case, and its real one. Data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Record = Mapping[str, Any]


@dataclass
class Truth:
    """The possible ends of a case.

    `green`: commits whose status may be a success; `commits`: those that must have a final status; `pulls`: those with
    at most one comment; `bests`: the tasks that may carry the tag, `best_if_done`: the one that must, if the last job
    ended with 0. `runs`: the most pipeline runs by pipeline. `launches`: the most tasks that one run launches.
    """

    green: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)
    pulls: list[int] = field(default_factory=list)
    bests: set[str] = field(default_factory=set)
    best_if_done: str = ""
    runs: dict[str, int] = field(default_factory=dict)
    launches: int = 0
    outcome: str = ""


@dataclass(frozen=True)
class JobEnd:
    """A job that has ended. `exit_code` is negative if a signal ended it; `statuses`: ids that its commit had then."""

    name: str
    commit: str
    pull: int
    waits: bool
    exit_code: int | None
    signalled: str
    hung: bool
    seconds: float
    deadline: float
    log: str
    summary: str
    outputs: Mapping[str, str]
    statuses: tuple[int, ...]


@dataclass(frozen=True)
class World:
    """Both servers at one moment, as their APIs show them.

    `tasks` carry their `console`, the texts of their `files`, and their project's name as `place`. `commits` maps a
    hash to its `statuses`, newest first, and its `check_runs`. `pulls` and `issues` carry their `comments`.
    """

    tasks: tuple[Record, ...] = ()
    commits: Mapping[str, Record] = field(default_factory=dict)
    pulls: tuple[Record, ...] = ()
    issues: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """All that a judgement stands on. `clean`: nothing was harmed. `secrets` are values, by what they are.

    `refused`: operations that GitHub refused for good, such as `POST statuses/SHA`: then a warning must do.
    """

    world: World
    jobs: tuple[JobEnd, ...]
    truth: Truth
    secrets: Mapping[str, str]
    clean: bool = False
    refused: frozenset[str] = frozenset()
