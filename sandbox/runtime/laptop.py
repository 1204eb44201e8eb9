"""A developer's machine: a clone of a repository, and a ClearML configuration and home of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from github.Repository import Repository

from sandbox.runtime import clearml_conf, processes
from sandbox.runtime.clearml_access import Access

LIMIT_SECONDS = 120


class LaptopError(Exception):
    """A command failed; the message ends with its output."""


@dataclass(frozen=True)
class Laptop:
    """A clone of `origin`, and the ClearML configuration of the developer who works in it; `python` runs scripts."""

    origin: Repository
    clone: Path
    home: Path
    access: Access = field(repr=False)
    python: tuple[str, ...] = (sys.executable,)

    def git(self, *arguments: str) -> str:
        """Run git in the clone; return its output."""
        return self.run("git", *arguments)

    def run(self, *command: str) -> str:
        """Run a command in the clone, with this laptop's ClearML configuration; return its output."""
        return _run(command, self, self.clone)

    def configure(self, **changes: Any) -> None:
        """Edit the clone's config.json, without a commit; nested keys that are not named stay."""
        path = self.clone / "config.json"
        content = json.loads(path.read_text())
        for key, value in changes.items():
            content[key] = {**content[key], **value} if isinstance(value, dict) else value
        path.write_text(json.dumps(content, indent=2) + "\n")


def clone(
    repository: Repository, directory: Path, access: Access, python: tuple[str, ...] = (sys.executable,)
) -> Laptop:
    """Create a laptop below `directory`, with a fresh clone and a clearml.conf of its own."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    laptop = Laptop(repository, directory / repository.name, directory / "home", access, python)
    _run(["git", "clone", "-q", repository.clone_url, str(laptop.clone)], laptop, directory)
    clearml_conf.write_for_developer(directory / "clearml.conf", access)
    return laptop


def _run(command: Sequence[str], laptop: Laptop, directory: Path) -> str:
    variables = {"CLEARML_CONFIG_FILE": str(laptop.clone.parent / "clearml.conf")}
    name = " ".join(command[:3])
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            env=processes.clean_environment(laptop.home, variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise LaptopError(
            f"{name} has not ended within {LIMIT_SECONDS} s: check that the ClearML server responds"
        ) from error
    if done.returncode:
        raise LaptopError(f"{name} ended with {done.returncode}: {done.stdout[-1500:]}")
    return done.stdout
