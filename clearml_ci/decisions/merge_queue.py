"""Merge queues: which verdict of a pull request counts for the commit that a queue has built from it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.formatting import listed
from clearml_ci.core.outcome import Outcome

CARRIED, PROBE, TRAIN = MODES = ("carry", "probe", "train")


# https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository (merge queues)
_BRANCH = re.compile(r"gh-readonly-queue/(?P<base>.+)/pr-(?P<number>[1-9][0-9]{0,9})-[0-9a-f]{40}")


_TITLES = (re.compile(r"Merge pull request #([1-9][0-9]{0,9}) from "), re.compile(r".* \(#([1-9][0-9]{0,9})\)$"))


@dataclass(frozen=True)
class Commit:
    """One commit of a queue's branch: its hash, its first parent's, and the first line of its message."""

    sha: str
    parent: str
    title: str


@dataclass(frozen=True)
class Judged:
    """The newest verdict on a commit of this pull request; None if it has none.

    `number` is 0 for the commit of an earlier group. `difference` is a file in which the queue's commit differs from it
    and that matters, or ""; `ignored`: they differ in files that do not.
    """

    number: int
    commit: str
    verdict: VerdictDocument | None
    difference: str = ""
    ignored: bool = False

    @property
    def name(self) -> str:
        """`#12 at 0123456789`."""
        return f"{f'#{self.number}' if self.number else 'an earlier group'} at {self.commit[:10]}"

    @property
    def is_green(self) -> bool:
        return bool(self.verdict and self.verdict["exit_code"] == 0)


def number_of(branch: str) -> int:
    """The number of the pull request for which a queue made this branch, 0 if no queue made it."""
    found = _BRANCH.fullmatch(branch)
    return int(found["number"]) if found else 0


def numbers(last: int, commits: Sequence[Commit]) -> list[int]:
    """The pull requests that the commits of a queue's branch name, the `last` one first; `commits`: newest last.

    Only the line of first parents counts: it is GitHub's, and what a merge brought along names anything.
    """
    by_sha = {commit.sha: commit for commit in commits}
    found, sha = [last], commits[-1].sha if commits else ""
    while commit := by_sha.pop(sha, None):
        found += [int(match[1]) for title in _TITLES if (match := title.match(commit.title))]
        sha = commit.parent
    return list(dict.fromkeys(found))


def named(group: Sequence[int]) -> str:
    """`#12, #13`."""
    return listed([f"#{number}" for number in group], most=5, separator=", ")


def same(judged: Iterable[Judged]) -> Judged | None:
    """The first of these commits that has a verdict, and the files of the queue's commit."""
    return next((each for each in judged if each.verdict and not each.difference), None)


def why_carried(judged: Judged) -> str:
    """The reason why the verdict on this commit is that of the queue's."""
    same = "differs in ignored paths alone" if judged.ignored else "has the same files"
    return f"carried over from {judged.name}, which {same}"


def worst(judged: Sequence[Judged]) -> tuple[Judged | None, str]:
    """The pull request that decides if each was judged by itself, and the reason; None if one has no verdict."""
    missing = [each.name for each in judged if each.verdict is None]
    if missing or not judged:
        return None, f"no verdict on {listed(missing) or 'any pull request of the group'}: check it, and queue it again"
    verdicts = [(each, each.verdict) for each in judged if each.verdict]
    decides, _ = min(verdicts, key=lambda pair: (pair[1]["exit_code"] == 0, Outcome(pair[1]["outcome"]).rank))
    names = listed([each.name for each in judged], most=5, separator=", ")
    return decides, f"carried over from {names}, each judged by itself"
