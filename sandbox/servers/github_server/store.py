"""The records of the local GitHub, in memory. Code is in bare git repositories on disk."""

from __future__ import annotations

import copy
import itertools
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

OWNER = "octo-owner"
BOTS = {"workflow": "github-actions[bot]", "app": "clearml-ci[bot]"}
PREFIXES = {"personal": "github_pat_", "workflow": "ghs_", "app": "ghs_"}
ALIASES = {"pat": "personal"}
# Every new repository of GitHub has these.
LABELS = {
    "bug": "d73a4a",
    "documentation": "0075ca",
    "duplicate": "cfd3d7",
    "enhancement": "a2eeef",
    "good first issue": "7057ff",
    "help wanted": "008672",
    "invalid": "e4e669",
    "question": "d876e3",
    "wontfix": "ffffff",
}


_ahead = timedelta()  # of the clock of all local GitHubs in this process


def advance_clock(seconds: float) -> None:
    """Let time pass for the local GitHubs of this process: their dates are in whole seconds."""
    global _ahead
    _ahead += timedelta(seconds=seconds)


def now() -> str:
    return (datetime.now(timezone.utc) + _ahead).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Token:
    """A login, the kind of its token (`personal`, `workflow`, `app`), and its permissions; None: all of them.

    It reaches the named repositories of the account; None: all of them, of any account. `expires` is in epoch seconds.
    """

    login: str
    kind: str
    repositories: frozenset[str] | None
    permissions: dict[str, str] | None
    account: str | None = None
    expires: float | None = None

    def covers(self, repository: Repository) -> bool:
        """Return whether it was issued for this repository."""
        if self.account is not None and self.account.lower() != repository.owner.lower():
            return False
        return self.repositories is None or repository.full_name.lower() in self.repositories

    def may(self, permission: str, level: str) -> bool:
        if self.permissions is None:
            return True
        return self.permissions.get(permission) in ({"read", "write"} if level == "read" else {"write"})


@dataclass(frozen=True)
class App:
    """A GitHub App, and its one installation: on all of its owner's repositories, or on some (lower case).

    Its tokens live for `token_lifetime` seconds.
    """

    id: int
    slug: str
    client_id: str
    public_key: str
    permissions: dict[str, str]
    installation: int
    repositories: frozenset[str] | None
    token_lifetime: float
    owner: str = OWNER
    created: str = field(default_factory=now)

    @property
    def login(self) -> str:
        return f"{self.slug}[bot]"


@dataclass
class Comment:
    id: int
    author: str
    body: str
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass(frozen=True)
class Event:
    """Something that happened to an issue: `labeled`, `unlabeled`, `closed`, `reopened`, `merged`."""

    id: int
    kind: str
    actor: str
    label: str = ""
    commit: str = ""
    created: str = field(default_factory=now)


@dataclass
class Issue:
    """An issue; a pull request has one too, of the same number."""

    id: int
    number: int
    author: str
    title: str
    body: str
    state: str = "open"
    state_reason: str | None = None
    labels: list[str] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)
    closed: str | None = None
    closed_by: str | None = None


@dataclass(frozen=True)
class Merge:
    """The merge of a pull request; `landed` are the commits that the base gained by it."""

    by: str
    commit: str
    landed: tuple[str, ...]
    at: str = field(default_factory=now)


@dataclass(frozen=True)
class Trial:
    """The trial merge that GitHub makes of every open pull request; `commit` is None if it conflicts."""

    base: str
    head: str
    commit: str | None


@dataclass
class Pull:
    """`head_repository` is None once a fork was deleted; `head_sha` is what was last seen on its branch."""

    id: int
    issue: Issue
    head_owner: str
    head_repository: str | None
    head_branch: str
    base_branch: str
    base_sha: str
    head_sha: str = ""
    previous_head_sha: str = ""
    draft: bool = False
    merge: Merge | None = None
    trial: Trial | None = None


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
    external_id: str
    output: dict[str, str]
    annotations: int = 0
    started: str = field(default_factory=now)
    completed: str | None = None


@dataclass(frozen=True)
class Label:
    id: int
    name: str
    color: str
    description: str | None = None


@dataclass
class Repository:
    id: int
    owner: str
    name: str
    path: Path
    private: bool = False
    description: str | None = None
    default_branch: str = "main"
    fork_of: str | None = None
    issues: dict[int, Issue] = field(default_factory=dict)
    pulls: dict[int, Pull] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: list[CheckRun] = field(default_factory=list)
    labels: dict[str, Label] = field(default_factory=dict)
    collaborators: dict[str, str] = field(default_factory=dict)
    created: str = field(default_factory=now)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


class Store:
    """All repositories and tokens."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.repositories: dict[str, Repository] = {}
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, App] = {}
        self.replies_to_lose: list[tuple[str, str]] = []
        self._ids: Iterator[int] = itertools.count(1000)

    def copy(self, directory: Path) -> Store:
        """Return a store with the same content, whose repositories are below `directory`."""
        other = Store(directory)
        for name, repository in copy.deepcopy(self.repositories).items():
            repository.path = directory / repository.path.relative_to(self.directory)
            other.repositories[name] = repository
        other.tokens, other.apps = dict(self.tokens), dict(self.apps)
        other._ids = itertools.count(self.new_id())
        return other

    def new_id(self) -> int:
        return next(self._ids)

    def known(self, login: str) -> bool:
        """Return whether this account exists: it has a token or a repository."""
        name = login.lower()
        tokens = (token.login.lower() for token in self.tokens.values())
        owners = (repo.owner.lower() for repo in self.repositories.values())
        return name in tokens or name in owners

    def mint(self, kind: str, *, repository: str | None, login: str, permissions: dict[str, str] | None) -> str:
        """A new token. Permissions may be spelled as workflows do, with hyphens. Raises ValueError."""
        kind = ALIASES.get(kind, kind)
        if kind not in PREFIXES:
            raise ValueError(f"{kind!r} is no kind of token: pat, workflow, app")
        named = None if permissions is None else {key.replace("-", "_"): level for key, level in permissions.items()}
        bound = None if repository is None else frozenset({repository.lower()})
        return self.keep(Token(_actor(kind, login), kind, bound, named))

    def keep(self, token: Token) -> str:
        """The secret by which a new token is known from now on."""
        secret = PREFIXES[token.kind] + secrets.token_hex(18)
        self.tokens[secret] = token
        return secret


def _actor(kind: str, login: str) -> str:
    """An App acts as `NAME[bot]`; without a name of its own it is clearml-ci."""
    if kind == "app" and login != OWNER:
        return login if login.endswith("[bot]") else f"{login}[bot]"
    return BOTS.get(kind, login)
