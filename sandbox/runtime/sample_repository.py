"""The sample repository on the local GitHub: a training script, its configuration, and tests for a GPU."""

from __future__ import annotations

import shutil
from pathlib import Path

from github import Github
from github.Repository import Repository

from sandbox.runtime.clearml_access import Access
from sandbox.runtime.laptop import Laptop

NAME = "digits"
TEMPLATE = Path(__file__).parents[1] / "sample_repository"


def create(github: Github, directory: Path, *, project: str, name: str = NAME) -> Repository:
    """Create the sample repository, with main pushed; its training reports to the ClearML project `project`."""
    repository = github.get_user().create_repo(name)
    work = directory / "first-commit"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(TEMPLATE, work, ignore=shutil.ignore_patterns("__pycache__"))
    author = Laptop(repository, work, directory / "home", Access("", "", "", "", ""))
    author.configure(project=project)
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "Train on digits"]):
        author.git(*arguments)
    author.git("push", "-q", repository.clone_url, "main")
    return repository
