"""A merge into the default branch: the order of merges is that of a model's history."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Merge:
    """A commit of the default branch. `head` and `number` are those of the pull request that it merged, if any.

    After a squash merge the head, which was trained and checked, is no commit of the branch.
    """

    commit: str
    head: str = ""
    number: int = 0

    @property
    def commits(self) -> tuple[str, ...]:
        """The commits whose runs are runs of this merge."""
        return (self.commit, self.head) if self.head else (self.commit,)

    def __str__(self) -> str:
        return f"#{self.number} ({self.commit[:10]})" if self.number else self.commit[:10]


def write(merge: Merge) -> str:
    """The merge as a text without spaces at its ends."""
    return f"{merge.commit} {merge.head} {merge.number}" if merge.head else merge.commit


def read(text: str) -> Merge | None:
    """The merge of a text that `write` made, None for any other."""
    commit, *rest = text.split(" ") if text else [""]
    if not commit or len(rest) not in (0, 2):
        return None
    return Merge(commit, rest[0], int(rest[1])) if rest and rest[1].isdecimal() else Merge(commit)
