"""The changed files between two commits, as GitHub lists them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.servers.github_server import git

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's name of a directory without entries
_WORDS = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "C": "copied", "T": "changed"}
_OPTIONS = ("-M", "--no-color", "--no-ext-diff", "--no-textconv")


@dataclass(frozen=True)
class ChangedFile:
    """`patch` is empty for binary files and pure renames; `previous` names a renamed file's old path."""

    path: str
    previous: str
    status: str
    sha: str
    patch: str

    def count(self, sign: str) -> int:
        return sum(line.startswith(sign) for line in self.patch.split("\n"))


def between(path: Path, base: str, head: str) -> list[ChangedFile]:
    """Changed files from one tree to another, in git's order."""
    records = git.run(path, "diff", "--raw", "--no-abbrev", "-z", *_OPTIONS, base, head).split("\0")[:-1]
    chunks = iter(re.split(r"^diff --git ", git.run(path, "diff", *_OPTIONS, base, head), flags=re.MULTILINE)[1:])
    return [_changed(record, names, chunks) for record, names in _pairs(iter(records))]


def _pairs(records: Iterator[str]) -> Iterator[tuple[list[str], list[str]]]:
    """Each record with its path, or with the old and the new one."""
    for record in records:
        fields = record.split()
        yield fields, [next(records) for _ in range(2 if fields[4][0] in "RC" else 1)]


def _changed(fields: list[str], names: list[str], chunks: Iterator[str]) -> ChangedFile:
    letter = fields[4][0]
    patches = [_patch(next(chunks)) for _ in range(2 if letter == "T" else 1)]  # a changed type: removed, and added
    sha = fields[2] if letter == "D" else fields[3]
    previous = names[0] if letter in "RC" else ""
    return ChangedFile(names[-1], previous, _WORDS.get(letter, "changed"), sha, "\n".join(filter(None, patches)))


def _patch(chunk: str) -> str:
    start = chunk.find("\n@@")
    return chunk[start + 1 :].rstrip("\n") if start >= 0 else ""
