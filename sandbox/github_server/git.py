"""The code of the repositories, through git's own command line."""

import subprocess
from pathlib import Path


class GitError(Exception):
    """A git command failed: there is no such commit, branch or file."""


def run(path: Path, *arguments: str) -> str:
    """What a git command printed. Raises GitError."""
    command = ["git", "-C", str(path), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise GitError(done.stderr.decode(errors="replace"))
    return done.stdout.decode(errors="replace")


def create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)


def fork(source: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(path)], check=True)


def commit(path: Path, ref: str) -> str:
    """The full hash that a ref, a branch or a hash stands for."""
    return run(path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}").strip()


def fetch(path: Path, *, source: Path, branch: str, ref: str) -> None:
    run(path, "fetch", "-q", str(source), f"+refs/heads/{branch}:{ref}")


def describe(path: Path, sha: str) -> dict[str, str]:
    """Author, date, message, tree and parents of one commit."""
    keys = ("sha", "author", "email", "date", "tree", "parents", "message")
    values = run(path, "show", "-s", "--format=%H%x00%an%x00%ae%x00%aI%x00%T%x00%P%x00%B", sha).split("\0")
    return dict(zip(keys, (value.strip() for value in values), strict=True))


def between(path: Path, base: str, head: str) -> list[str]:
    """Commits that are on head and not on base, oldest first."""
    return run(path, "rev-list", "--reverse", f"{base}..{head}").split()


def merge_base(path: Path, base: str, head: str) -> str:
    return run(path, "merge-base", base, head).strip()


def changed_files(path: Path, base: str, head: str) -> list[tuple[str, str]]:
    """Name and GitHub's word for what happened to it, since the merge base."""
    words = {"A": "added", "M": "modified", "D": "removed", "R": "renamed"}
    lines = run(path, "diff", "--name-status", "--no-renames", f"{base}...{head}").splitlines()
    return [(line.split("\t")[1], words.get(line[0], "changed")) for line in lines]


def listing(path: Path, ref: str, name: str) -> list[tuple[str, str, str]]:
    """`(type, object, path)` of a file, or of the entries of a directory; empty where there is none."""
    name = name.strip("/")
    kind = run(path, "cat-file", "-t", f"{ref}:{name}").strip() if name else "tree"
    target = [f"{name}/"] if kind == "tree" and name else [name] if name else []
    entries = (line.split(maxsplit=3) for line in run(path, "ls-tree", ref, *target).splitlines())
    return [(kind, sha, entry) for _, kind, sha, entry in entries]


def blob(path: Path, sha: str) -> bytes:
    command = ["git", "-C", str(path), "cat-file", "blob", sha]
    return subprocess.run(command, capture_output=True, check=True).stdout
