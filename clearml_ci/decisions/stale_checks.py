"""Stale checks: a status that stays `pending`, or a check run in progress, that no live run will finish.

A run that waits is distinct from one whose controller died: see `why_ended`. The audit looks twice, and what changed
between the two looks is not stale.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.core.formatting import duration
from clearml_ci.decisions.audit_findings import FINDING, Finding, Subject

SILENT_FOR = 600.0  # seconds, after which servers, too, take a task's worker for gone: workers.task_update_timeout


STALE = "stale_check"  # the kind of finding


_REMEDY = "run its workflow again, or use New run in ClearML"


@dataclass(frozen=True)
class Unfinished:
    """A commit's pending status, or its check run in progress, which has an id. `name` is that of the status."""

    commit: str
    name: str
    url: str
    since: str
    check_run: int | None = None

    @property
    def run(self) -> str:
        """The id of the run to whose page it links."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class KnownRun:
    """A run that reports, or did, to a commit's status of this `name`; both are empty if it reports to none.

    `sign` is the time of its last sign of life, and `silent` the seconds since then; `served` is true if a worker
    serves the queue in which it waits. `ours`: it carries our mark, and is a run of this repository.
    """

    id: str
    url: str
    commit: str
    name: str
    status: str
    sign: str
    silent: float
    served: bool
    ours: bool


@dataclass(frozen=True)
class Stale:
    """An unfinished check, the runs that might have finished it (the linked or newest one first), and the reason."""

    unfinished: Unfinished
    runs: tuple[KnownRun, ...]
    why: str

    @property
    def run(self) -> KnownRun | None:
        """The run that should have finished it, if it is known."""
        return next(iter(self.runs), None)

    @property
    def url(self) -> str:
        """The page of the run; what GitHub showed if that is not known."""
        return self.run.url if self.run else self.unfinished.url


def find(unfinished: Iterable[Unfinished], runs: Sequence[KnownRun], *, longest_wait: float) -> list[Stale]:
    """Those that no run will finish. `runs` are newest first; a queue without workers is waited for `longest_wait`."""
    return [stale for check in unfinished if (stale := _stale(check, runs, longest_wait))]


def confirmed(first: Iterable[Stale], second: Iterable[Stale]) -> list[Stale]:
    """Those of the second look that were the same in the first: nothing was posted and no sign of life was given.

    A run that was dead may have been ended since: the audit ends it as a leftover.
    """
    before = list(first)
    return [stale for stale in second if any(_is_same(earlier, stale) for earlier in before)]


def why_ended(run: KnownRun, *, longest_wait: float) -> str:
    """The reason why a run will not report any more, or "" if it may: it runs, or it waits for an agent."""
    name = f"its run {run.id}"
    if run.status == "queued":
        waits_in_vain = not run.served and run.silent > longest_wait
        return f"{name} has waited for {duration(run.silent)} in a queue without workers" if waits_in_vain else ""
    if run.status == "in_progress":
        dead = is_dead(run.status, run.silent)
        return f"the controller of {name} has been silent for {duration(run.silent)}" if dead else ""
    if run.status == "created":
        return f"{name} was taken off its queue"
    return f"{name} has ended ({run.status})"


def is_dead(status: str, silent: float) -> bool:
    """True if a run is in progress by its status, but neither its controller nor its agent gives a sign of life."""
    return status == "in_progress" and silent > SILENT_FOR


def finding(stale: Stale, *, settled: bool) -> Finding:
    """The finding about what was `settled`, or could not be."""
    check = stale.unfinished
    state = "a check run in progress" if check.check_run is not None else "the status pending"
    action = "the audit set it to an error" if settled else "the audit could not change it"
    subject = Subject("commit", f"{check.name} at {check.commit[:10]}", stale.url)
    return Finding(STALE, FINDING, subject, f"{state}, although {stale.why}; {action}", _REMEDY)


def described(stale: Stale) -> str:
    """The reason in the words of a status."""
    return f"no verdict: {stale.why}; {_REMEDY}"


def _stale(check: Unfinished, runs: Sequence[KnownRun], longest_wait: float) -> Stale | None:
    """A live run of the same commit and name will report, whichever run the link names: a rerun does."""
    linked = next((run for run in runs if run.id == check.run), None)
    same = [run for run in runs if (run.commit, run.name) == (check.commit, check.name) and run.status != "created"]
    candidates = tuple(run for run in (linked, *same) if run)
    reasons = [why_ended(run, longest_wait=longest_wait) for run in candidates]
    if not all(reasons):
        return None
    if not candidates:
        return Stale(check, (), "the run that it links to was deleted" if check.url else "no run of it was started")
    return Stale(check, candidates, reasons[0])


def _is_same(before: Stale, now: Stale) -> bool:
    earlier = {run.id: run for run in before.runs}
    ids = {run.id for run in now.runs}
    same = before.unfinished == now.unfinished and earlier.keys() == ids
    return same and all(_is_still_over(earlier[run.id], run) for run in now.runs)


def _is_still_over(before: KnownRun, now: KnownRun) -> bool:
    was_ended = is_dead(before.status, before.silent) and now.status != before.status
    return was_ended or (now.status, now.sign) == (before.status, before.sign)
