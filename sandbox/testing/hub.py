"""A local GitHub with one repository, as the tests of it see it: PyGithub clients and a clone."""

import os
import subprocess
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


def proposed(directory: Path) -> Hub:
    """A new local GitHub whose repository has pull request 1."""
    hub = cloned(github_server.start(directory / "github"), directory)
    hub.pull()
    return hub
