"""The people around the sample repository: they commit, train on their laptops, push, and open pull requests."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from github import Auth, Github
from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox.runtime import clearml_conf, processes, state
from sandbox.runtime.clearml_access import Access

TEMPLATE = Path(__file__).parents[1] / "sample_repository"
REPOSITORY = "digits"
TASK = "train digits"
TRAINING_SECONDS = 120


class DeveloperError(Exception):
    """git or a training run failed; the message ends with what it printed."""


@dataclass(frozen=True)
class Laptop:
    """A clone of `origin`, and the ClearML configuration of the one who works in it."""

    origin: Repository
    clone: Path
    home: Path
    access: Access = field(repr=False)


def connect(api_url: str, token: str) -> Github:
    """PyGithub without its pauses between requests, which spare the real GitHub."""
    return Github(
        base_url=api_url, auth=Auth.Token(token), seconds_between_requests=0, seconds_between_writes=0, retry=None
    )


def token(github: state.GitHub, kind: str, **given: Any) -> str:
    """A new token of the local GitHub, for `login` or `repository`, with `permissions`; its door tells the kinds.

    An account exists as soon as it has a token.
    """
    owner = {"Authorization": f"token {github.owner_token}"}
    answer = requests.post(f"{github.url}/_sandbox/tokens", json={"kind": kind, **given}, headers=owner, timeout=10)
    answer.raise_for_status()
    return str(answer.json()["token"])


def create_repository(github: Github, directory: Path, *, project: str) -> Repository:
    """Creates the sample repository on GitHub, with main pushed; its training reports to `project`."""
    repository = github.get_user().create_repo(REPOSITORY)
    work = directory / "first-commit"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(TEMPLATE, work, ignore=shutil.ignore_patterns("__pycache__"))
    laptop = Laptop(repository, work, directory / "home", Access("", "", "", "", ""))
    _change(work, {"project": project})
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Train on digits"]):
        git(laptop, *arguments)
    git(laptop, "push", "-q", repository.clone_url, "main")
    return repository


def clone(repository: Repository, directory: Path, access: Access) -> Laptop:
    """A laptop below `directory` with a fresh clone and a clearml.conf of its own."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    laptop = Laptop(repository, directory / REPOSITORY, directory / "home", access)
    _run(["git", "clone", "-q", repository.clone_url, str(laptop.clone)], laptop, directory)
    clearml_conf.write_for_developer(directory / "clearml.conf", access)
    return laptop


def branch(laptop: Laptop, name: str, *, base: str = "main") -> None:
    """A new branch from another one of the laptop's origin."""
    git(laptop, "checkout", "-q", "-b", name, "--no-track", f"origin/{base}")


def commit(laptop: Laptop, message: str, *, files: Mapping[str, str] | None = None, **training: Any) -> str:
    """Commits changed training parameters, and `files` (path to content); returns the commit's full hash."""
    edit(laptop, **training)
    for name, content in (files or {}).items():
        path = laptop.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(laptop, "add", ".")
    git(laptop, "commit", "-q", "--allow-empty", "-m", message)
    return head(laptop)


def edit(laptop: Laptop, **training: Any) -> None:
    """Changes training parameters and does not commit."""
    _change(laptop.clone, {"training": training})


def push(laptop: Laptop) -> None:
    git(laptop, "push", "-q", "origin", "HEAD")


def head(laptop: Laptop) -> str:
    return git(laptop, "rev-parse", "HEAD").strip()


def read(laptop: Laptop, name: str) -> str:
    """A file of the clone as it stands."""
    return (laptop.clone / name).read_text()


def open_pull_request(
    repository: Repository, laptop: Laptop, *, title: str, branch: str, base: str = "main"
) -> PullRequest:
    """Proposes a branch of the laptop's origin, a fork perhaps, to a branch of `repository`."""
    head = f"{laptop.origin.owner.login}:{branch}"
    return repository.create_pull(title=title, head=head, base=base, body="")


def train(laptop: Laptop) -> str:
    """Runs train.py as it stands in the clone, recorded by ClearML; returns what it printed."""
    return _run([sys.executable, "train.py"], laptop, laptop.clone)


def git(laptop: Laptop, *arguments: str) -> str:
    return _run(["git", *arguments], laptop, laptop.clone)


def _change(clone: Path, changes: dict[str, Any]) -> None:
    path = clone / "config.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(content, indent=2) + "\n")


def _run(command: list[str], laptop: Laptop, directory: Path) -> str:
    variables = {"CLEARML_CONFIG_FILE": str(laptop.clone.parent / "clearml.conf")}
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
            timeout=TRAINING_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        said = f"{' '.join(command[:3])} has not ended within {TRAINING_SECONDS} s: is the ClearML server that slow?"
        raise DeveloperError(said) from error
    if done.returncode:
        raise DeveloperError(f"{' '.join(command[:3])} ended with {done.returncode}: {done.stdout[-1500:]}")
    return done.stdout
