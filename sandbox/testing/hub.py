"""A local GitHub with one repository, as the tests of it see it: PyGithub clients and a clone."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from github import Github
from github.PullRequest import PullRequest
from github.Repository import Repository

from sandbox.runtime import environment, github_access
from sandbox.servers import github_server
from sandbox.servers.github_server import GitHubServer

NAME = "digits"
FULL_NAME = f"octo-owner/{NAME}"
JOB = environment.JOB_PERMISSIONS


@dataclass(frozen=True)
class Hub:
    server: GitHubServer
    clone: Path
    repository: Repository  # as its owner sees it

    def client(self, token: str) -> Github:
        return connect(self.server, token)

    def seen_by(self, kind: str, *, login: str = "octo-owner", permissions: dict[str, str] | None = None) -> Repository:
        """Return the repository as a token of this kind sees it."""
        token = self.server.token(kind, repository=FULL_NAME, login=login, permissions=permissions)
        return self.client(token).get_repo(FULL_NAME)

    def user(self, login: str) -> Github:
        """Return a client with a user's token for all that is theirs."""
        return self.client(self.server.token("pat", login=login))

    def commit(self, branch: str, *, file: str = "train.py", text: str = "", onto: str = "main") -> str:
        """Push a commit to the branch, which begins at `onto` if it is new; return its hash."""
        if git(self.clone, "branch", "--list", branch):
            git(self.clone, "checkout", "-q", branch)
        else:
            git(self.clone, "checkout", "-q", "-b", branch, onto)
        (self.clone / file).parent.mkdir(exist_ok=True)
        (self.clone / file).write_text(text or f"changed on {branch}\n")
        git(self.clone, "add", ".")
        git(self.clone, "commit", "-q", "--allow-empty", "-m", f"Change {file} on {branch}")
        git(self.clone, "push", "-q", "origin", branch)
        return git(self.clone, "rev-parse", "HEAD")

    def push_on_main(self, *, commits: int) -> str:
        """Push this number of commits on top of GitHub's main; return the hash of the last one."""
        git(self.clone, "checkout", "-q", "main")
        git(self.clone, "pull", "-q", "origin", "main")
        for number in range(commits):
            git(self.clone, "commit", "-q", "--allow-empty", "-m", f"Change {number}")
        git(self.clone, "push", "-q", "origin", "main")
        return git(self.clone, "rev-parse", "HEAD")

    def pull_from_fork(self) -> PullRequest:
        """Open a draft pull request of a fork that adds `new.py`, as `contributor`."""
        fork = self.user("contributor").get_repo(FULL_NAME).create_fork()
        git(self.clone, "checkout", "-q", "-b", "outside", "main")
        (self.clone / "new.py").write_text("new\n")
        git(self.clone, "add", ".")
        git(self.clone, "commit", "-q", "-m", "From outside")
        git(self.clone, "push", "-q", fork.clone_url, "outside")
        seen = self.user("contributor").get_repo(FULL_NAME)
        return seen.create_pull(title="Outside", head="contributor:outside", base="main", body="", draft=True)

    def copy(self, directory: Path) -> Hub:
        """Return another local GitHub, in an empty directory, with all that this one has now."""
        server = self.server.copy(directory / "github")
        repository = connect(server, server.owner_token).get_repo(FULL_NAME)
        shutil.copytree(self.clone, directory / NAME)
        git(directory / NAME, "remote", "set-url", "origin", repository.clone_url)
        return Hub(server, directory / NAME, repository)

    def pull(self, branch: str = "better", *, body: str = "") -> PullRequest:
        self.commit(branch)
        return self.repository.create_pull(title=f"Try {branch}", head=branch, base="main", body=body)


def connect(server: GitHubServer, token: str) -> Github:
    return github_access.connect(server.api_url, token)


def cloned(server: GitHubServer, directory: Path) -> Hub:
    """The repository with one commit on main."""
    repository = connect(server, server.owner_token).get_user().create_repo(NAME)
    git(directory, "clone", "-q", repository.clone_url, str(directory / NAME))
    hub = Hub(server, directory / NAME, repository)
    git(hub.clone, "checkout", "-q", "-b", "main")
    (hub.clone / "train.py").write_text("print('accuracy')\n")
    git(hub.clone, "add", ".")
    git(hub.clone, "commit", "-q", "-m", "Train")
    git(hub.clone, "push", "-q", "origin", "main")
    return hub


def git(directory: Path, *arguments: str) -> str:
    identity = {f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in _ME.items()}
    apart = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments],
        env={**os.environ, **identity, **apart},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


_ME = {"NAME": "A Developer", "EMAIL": "developer@users.noreply.github.com"}


def fresh(directory: Path) -> Hub:
    """Return a new local GitHub whose repository has one commit on main."""
    return _template("fresh").copy(directory)


def proposed(directory: Path) -> Hub:
    """Return a new local GitHub whose repository has pull request 1."""
    return _template("proposed").copy(directory)


@functools.cache
def _template(kind: str) -> Hub:
    """Make a local GitHub, once in a process, to copy for each test: a copy takes a fifth of the time."""
    directory = Path(tempfile.mkdtemp(prefix=f"hub-{kind}-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    hub = cloned(github_server.start(directory / "github"), directory)
    if kind == "proposed":
        hub.pull()
    hub.server.stop()
    return hub
