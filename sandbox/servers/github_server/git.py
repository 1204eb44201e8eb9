"""The code of the repositories, through git's own command line."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

NOREPLY = "@users.noreply.github.com"
_FIELDS = ("H", "T", "P", "an", "ae", "ad", "cn", "ce", "cd", "B")
_FORMAT = "--format=tformat:" + "%x00".join(f"%{field}" for field in _FIELDS)
_DATE = "--date=format-local:%Y-%m-%dT%H:%M:%SZ"


class GitError(Exception):
    """A git command failed: there is no such commit, branch or file, or a merge conflicts."""


@dataclass(frozen=True)
class Commit:
    """One commit, its texts as git keeps them; dates in UTC."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: dict[str, str]
    committer: dict[str, str]
    message: str


@dataclass(frozen=True)
class Entry:
    """A file or a directory at a commit."""

    mode: str
    kind: str
    sha: str
    size: int
    path: str


def run(path: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """Run git; return its output. Raises GitError."""
    command = ["git", "-C", str(path), *arguments]
    done = subprocess.run(command, capture_output=True, check=False, env={**_environment(), **(environment or {})})
    if done.returncode:
        raise GitError((done.stderr + done.stdout).decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def _environment() -> dict[str, str]:
    """The user's settings (signed commits, aliases, hooks) and the variables of a surrounding hook do not count."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "TZ": "UTC", "LC_ALL": "C"}


def create(path: Path) -> None:
    path.mkdir(parents=True)
    run(path, "init", "-q", "--bare")
    run(path, "symbolic-ref", "HEAD", "refs/heads/main")
    _configure(path)


def pushed_at(path: Path) -> str:
    """The time of the last push to any branch: that of its file's last change."""
    branches = path / "refs" / "heads"
    latest = max(entry.stat().st_mtime for entry in (branches, *branches.rglob("*")))
    return datetime.fromtimestamp(latest, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def age_pushes(path: Path, *, seconds: float) -> None:
    """Make the pushes to a repository look so much older."""
    branches = path / "refs" / "heads"
    for entry in (branches, *branches.rglob("*")):
        os.utime(entry, (entry.stat().st_atime, entry.stat().st_mtime - seconds))


def fork(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    run(source, "clone", "-q", "--bare", str(source), str(path))
    _configure(path)


def _configure(path: Path) -> None:
    run(path, "config", "uploadpack.allowAnySHA1InWant", "true")  # any commit can be fetched by its hash
    run(path, "config", "gc.auto", "0")


def find(path: Path, ref: str) -> str | None:
    """The full hash that a ref, a branch or a hash stands for."""
    try:
        return run(path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()
    except GitError:
        return None


def fetch(path: Path, *, source: Path, branch: str, ref: str) -> None:
    run(path, "fetch", "-q", "--no-tags", "--no-auto-gc", str(source), f"+refs/heads/{branch}:{ref}")


def fetch_commit(path: Path, *, source: Path, sha: str) -> None:
    """Takes over a commit by its hash; no ref names it."""
    run(path, "fetch", "-q", "--no-tags", "--no-auto-gc", "--no-write-fetch-head", str(source), sha)


def refs(path: Path, prefix: str) -> dict[str, str]:
    """Name and commit of every ref below a prefix."""
    lines = run(path, "for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def commits(path: Path, *revisions: str, name: str = "") -> list[Commit]:
    """Return commits as `git log` lists them: newest first, and only those that touch `name` if it is given."""
    output = run(path, "log", "-z", _DATE, _FORMAT, *revisions, "--", *([name] if name else []))
    values = output.split("\0")[:-1]
    size = len(_FIELDS)
    return [_commit(*values[start : start + size]) for start in range(0, len(values), size)]


def _commit(sha: str, tree: str, parents: str, *rest: str) -> Commit:
    author, committer = (dict(zip(("name", "email", "date"), rest[at : at + 3], strict=True)) for at in (0, 3))
    return Commit(sha, tree, tuple(parents.split()), author, committer, rest[6].rstrip("\n"))


def commit(path: Path, sha: str) -> Commit:
    return commits(path, "-1", sha)[0]


def between(path: Path, base: str, head: str) -> list[Commit]:
    """Commits that are on head and not on base, oldest first."""
    return commits(path, "--reverse", "--topo-order", f"{base}..{head}")


def merge_base(path: Path, base: str, head: str) -> str | None:
    try:
        return run(path, "merge-base", base, head).strip()
    except GitError:
        return None


def listing(path: Path, ref: str, name: str) -> list[Entry] | None:
    """Return the file, or the entries of the directory, or None."""
    try:
        kind = run(path, "cat-file", "-t", f"{ref}:{name}").strip()
    except GitError:
        return None
    target = [] if not name else [f"{name}/" if kind == "tree" else name]
    records = run(path, "ls-tree", "-z", "-l", "--full-tree", ref, "--", *target).split("\0")[:-1]
    return [_entry(record) for record in records]


def _entry(record: str) -> Entry:
    fields, path = record.split("\t", 1)
    mode, kind, sha, size = fields.split()
    return Entry(mode, kind, sha, 0 if size == "-" else int(size), path)


def blob(path: Path, sha: str) -> bytes:
    command = ["git", "-C", str(path), "cat-file", "blob", sha]
    return subprocess.run(command, capture_output=True, check=True, env=_environment()).stdout


@contextmanager
def checked_out(path: Path, sha: str) -> Iterator[Path]:
    """A temporary work tree of a bare repository."""
    with tempfile.TemporaryDirectory(prefix="merge-", dir=path, ignore_cleanup_errors=True) as temporary:
        tree = Path(temporary) / "tree"
        run(path, "worktree", "add", "-q", "--detach", str(tree), sha)
        try:
            yield tree
        finally:
            run(path, "worktree", "remove", "--force", str(tree))
