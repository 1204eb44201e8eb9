"""What the local GitHub remembers: in memory. Code is in bare git repositories on disk."""

import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

OWNER = "octo-owner"
BOTS = {"workflow": "github-actions[bot]", "app": "clearml-ci[bot]"}


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Token:
    """Who acts, of which kind (`personal`, `workflow`, `app`), and what it may do; permissions None: everything."""

    login: str
    kind: str
    repository: str | None
    permissions: dict[str, str] | None

    def may(self, permission: str, level: str) -> bool:
        if self.permissions is None:
            return True
        return self.permissions.get(permission) in ({"read", "write"} if level == "read" else {"write"})


@dataclass
class Comment:
    id: int
    author: str
    body: str
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Issue:
    """An issue; a pull request has one too, of the same number."""

    number: int
    author: str
    title: str
    body: str
    state: str = "open"
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    created: str = field(default_factory=now)


@dataclass
class Pull:
    """`head_repository` is None once a fork was deleted; `head_sha` is what was last seen on its branch."""

    issue: Issue
    head_owner: str
    head_repository: str | None
    head_branch: str
    base_branch: str
    head_sha: str = ""


@dataclass
class Status:
    id: int
    author: str
    sha: str
    state: str
    context: str
    description: str
    target_url: str
    created: str = field(default_factory=now)


@dataclass
class CheckRun:
    id: int
    author: str
    sha: str
    name: str
    status: str
    conclusion: str | None
    details_url: str
    output: dict[str, str]
    started: str = field(default_factory=now)


@dataclass
class Repository:
    id: int
    owner: str
    name: str
    path: Path
    fork_of: str | None = None
    issues: dict[int, Issue] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: list[CheckRun] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    collaborators: dict[str, str] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


class Store:
    """All repositories and tokens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repositories: dict[str, Repository] = {}
        self.tokens: dict[str, Token] = {}
        self._ids: Iterator[int] = itertools.count(1000)

    def new_id(self) -> int:
        return next(self._ids)

    def mint(self, kind: str, *, repository: str | None, login: str, permissions: dict[str, str] | None) -> str:
        prefix = {"personal": "github_pat_", "workflow": "ghs_", "app": "ghs_"}[kind]
        token = prefix + secrets.token_hex(18)
        self.tokens[token] = Token(BOTS.get(kind, login), kind, repository, permissions)
        return token
