"""Actions of the developers of the sample repository: commit, train on their laptops, push, open pull requests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox.runtime.laptop import Laptop
from sandbox.servers.github_server import git

TASK = "train digits"


def branch(laptop: Laptop, name: str, *, base: str = "main") -> None:
    """Create a branch from another branch of the laptop's origin."""
    laptop.git("checkout", "-q", "-b", name, "--no-track", f"origin/{base}")


def commit(laptop: Laptop, message: str, *, files: Mapping[str, str] | None = None, **training: Any) -> str:
    """Commit changed training parameters, and `files` (path to content); return the commit's full hash."""
    edit(laptop, **training)
    for name, content in (files or {}).items():
        path = laptop.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    laptop.git("add", ".")
    laptop.git("commit", "-q", "--allow-empty", "-m", message)
    return head(laptop)


def edit(laptop: Laptop, **training: Any) -> None:
    """Change training parameters, without a commit."""
    laptop.configure(training=training)


def push(laptop: Laptop) -> None:
    """Push the current branch."""
    laptop.git("push", "-q", "origin", "HEAD")


def age_pushes(repository: Repository, *, seconds: float) -> None:
    """Make the pushes to a repository look so much older, instead of a wait."""
    git.age_pushes(Path(urlsplit(repository.clone_url).path), seconds=seconds)


def head(laptop: Laptop) -> str:
    """Return the hash of the clone's HEAD."""
    return laptop.git("rev-parse", "HEAD").strip()


def read(laptop: Laptop, name: str) -> str:
    """Return the content of a file of the clone as it stands."""
    return (laptop.clone / name).read_text()


def open_pull_request(
    repository: Repository, laptop: Laptop, *, title: str, branch: str, base: str = "main"
) -> PullRequest:
    """Propose a branch of the laptop's origin, possibly a fork, to a branch of `repository`."""
    head = f"{laptop.origin.owner.login}:{branch}"
    return repository.create_pull(title=title, head=head, base=base, body="")


def train(laptop: Laptop, *arguments: str) -> str:
    """Run train.py as it stands in the clone, recorded by ClearML; return its output."""
    return laptop.run(*laptop.python, "train.py", *arguments)
