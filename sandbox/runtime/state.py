"""The state of a running sandbox, in a JSON file: addresses, tokens and processes."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.runtime.clearml_access import Access
from sandbox.runtime.processes import Process

FILE = "sandbox.json"


@dataclass(frozen=True)
class GitHub:
    """The local GitHub: `workflow_token` is what a workflow's job gets, `owner_token` a maintainer's own."""

    url: str
    api_url: str
    owner_token: str = field(repr=False)
    workflow_token: str = field(repr=False)


@dataclass(frozen=True)
class Queues:
    """The names of the agents' queues: of controllers, which run their steps as well, and of pull-request code."""

    controllers: str
    code: str


@dataclass(frozen=True)
class Sandbox:
    """One running sandbox. `prefix` is empty on the embedded ClearML server, and unique to the run on any other.

    `python` runs jobs and trainings, `agent` starts an agent; both are the beginning of a command.
    """

    process: Process
    clearml: Access
    github: GitHub
    queues: Queues
    repository: str
    project: str
    pipeline_project: str
    prefix: str
    directory: Path
    poll_seconds: float = 1.0
    python: tuple[str, ...] = (sys.executable,)
    agent: tuple[str, ...] = (sys.executable, "-m", "clearml_agent")


def write(sandbox: Sandbox) -> Path:
    """Writes the file for its owner's eyes only: it holds tokens and keys."""
    path = sandbox.directory / FILE
    partial = path.with_suffix(".partial")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(dataclasses.asdict(sandbox), default=str, indent=2))
    return partial.replace(path)


def read(directory: Path) -> Sandbox | None:
    """The sandbox that the file of `directory` names, running or not; None without a readable file."""
    try:
        content = json.loads((directory / FILE).read_text())
        return Sandbox(
            **{
                **content,
                "process": Process(**content["process"]),
                "clearml": Access(**content["clearml"]),
                "github": GitHub(**content["github"]),
                "queues": Queues(**content["queues"]),
                "directory": directory,
                "python": tuple(content["python"]),
                "agent": tuple(content["agent"]),
            }
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def forget(directory: Path) -> None:
    """Removes whatever holds keys or tokens: the configurations of agents and laptops and, last, this file.

    Another sandbox may start in the folder as soon as the file is gone.
    """
    for place in (directory, *directory.glob("*/")):  # those of a sandbox beside another lie in a folder of its
        for configuration in place.glob("agents/*/clearml.conf"):
            configuration.unlink()
        for home in [*place.glob("agents/*/home"), place / "developer"]:
            shutil.rmtree(home, ignore_errors=True)
    (directory / FILE).unlink(missing_ok=True)
