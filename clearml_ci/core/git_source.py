"""A commit of a git repository."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """A git repository's address and a commit's full hash."""

    repository: str
    commit: str
