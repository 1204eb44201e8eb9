"""The runs of a model on the default branch, in the order of the merges that they belong to."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.core import moment, recorded_task
from clearml_ci.core.comparability import NO_RULES
from clearml_ci.core.gate import Gate, Reported
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import samples
from clearml_ci.decisions.samples import Run


@dataclass(frozen=True)
class Merged:
    """A merge and those of its runs that count, first to last: clean runs of each commit with the same inputs."""

    merge: Merge
    runs: tuple[Run, ...] = ()

    @property
    def began(self) -> str:
        """The day on which the first of its runs was started, by the server's clock; empty if that is unknown."""
        days = (started.date().isoformat() for run in self.runs if (started := moment.parse(run.task.started)))
        return min(days, default="")


def in_merge_order(runs: Iterable[Run], merges: Sequence[Merge], *, seed: str = "") -> list[Merged]:
    """The merges, oldest first, with the runs of one model; `merges` are newest first, and each has its commits.

    If no merge is known, each commit is one, in the order in which their first runs were started. Runs without a
    commit, and those of a commit that is of no merge, are left out. `seed` as that of `samples`.
    """
    by_commit: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=_start):
        if run.task.commit and not run.task.copied_from and recorded_task.is_clean_run(run.task):
            by_commit[run.task.commit].append(run)
    known = merges[::-1] if merges else [Merge(commit) for commit in by_commit]
    return [Merged(merge, _sample(merge, by_commit, seed)) for merge in known]


def values(gate: Gate, merged: Merged, *, seed: str = "") -> list[float]:
    """The finite values of the gate, one for each draw."""
    return list(filter(math.isfinite, samples.values(gate, merged.runs, seed=seed)))


def reported(merged: Iterable[Merged]) -> list[Reported]:
    """The report of the newest run, whose series are the slices of a pattern."""
    return [run.reported for merge in merged for run in merge.runs][-1:]


def _sample(merge: Merge, by_commit: dict[str, list[Run]], seed: str) -> tuple[Run, ...]:
    found = [
        run
        for commit in merge.commits
        if (runs := by_commit.get(commit))
        for run in samples.of_commit(runs[0], runs, NO_RULES, seed=seed).runs
    ]
    return tuple(sorted(found, key=_start))


def _start(run: Run) -> tuple[float, str]:
    started = moment.parse(run.task.started)
    return (started.timestamp() if started else float("-inf"), run.task.id)
