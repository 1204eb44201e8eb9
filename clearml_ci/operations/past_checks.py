"""The checks and merges of the past, as ClearML's runs recorded them, with what GitHub knows of their merges."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from clearml_ci.clearml_api.past_runs import PastRun
from clearml_ci.clearml_api.task_status import LIVE
from clearml_ci.core import moment
from clearml_ci.core.errors import UsageError
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import backtest, promotion
from clearml_ci.decisions.backtest import Past
from clearml_ci.decisions.past_state import Recorded
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check


@dataclass(frozen=True)
class Branch:
    """The default branch in GitHub: its `merges`, and the `reverted` commits, each with the commit that reverted it."""

    merges: tuple[Merge, ...] = ()
    reverted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PastChecks:
    """The checks, newest first, one for each commit, and what promotions recorded; so many `unreadable` runs."""

    checks: tuple[Past, ...]
    recorded: Recorded
    unreadable: int


def of_runs(runs: Sequence[PastRun], branch: Branch, *, name: str, base: str, most: int) -> PastChecks:
    """The newest checks by the policy of this name, at most so many, from runs that are newest first.

    `base` is the branch that has the policy, empty if it is not known: other branches have policies of their own.
    """
    read = [(run, moment.parse(run.ended), _check(run)) for run in runs if run.status not in LIVE]
    known = [(run, at, check) for run, at, check in read if at and check]
    merged = {check.commit: check for *_, check in reversed(known) if check.action == promotion_mode.PROMOTE}
    ends = _ends(runs, merged, branch)
    past = [
        Past(
            run.id,
            at,
            check,
            run.outcome if check.action == "check" else None,
            merged=check.commit in ends,
            undone=ends.get(check.commit, ""),
        )
        for run, at, check in known
        if check.name == name and check.action != promotion_mode.ROLLBACK and base in ("", check.pull_request.base)
    ]
    checked = {each.check.commit for each in past if each.check.action == "check"}
    past = [each for each in past if each.check.action == "check" or each.check.commit not in checked]
    return PastChecks(tuple(backtest.newest_of_commits(past, most)), _recorded(runs), unreadable=len(read) - len(known))


def _check(run: PastRun) -> Check | None:
    """The check that a run was started for; None if its parameters cannot be read."""
    try:
        return check_parameters.from_arguments(run.arguments)
    except (UsageError, TypeError, ValueError, AttributeError):  # a user can edit all of them
        return None


def _ends(runs: Iterable[PastRun], merged: Mapping[str, Check], branch: Branch) -> dict[str, str]:
    """The heads that were merged, each with how it was undone, or ""."""
    heads = {commit: {commit, check.merge_commit} for commit, check in merged.items()}
    for merge in branch.merges:
        heads.setdefault(merge.head or merge.commit, set()).update(merge.commits)
    back = _rolled_back(runs)
    return {head: _undone({*commits} & {*branch.reverted}, branch, head in back) for head, commits in heads.items()}


def _undone(reverted: set[str], branch: Branch, is_rolled_back: bool) -> str:
    by = sorted(branch.reverted[commit][:10] for commit in reverted)
    ways = [f"reverted by {by[0]}"] if by else []
    return " and ".join([*ways, *(["rolled back"] if is_rolled_back else [])])


def _rolled_back(runs: Iterable[PastRun]) -> set[str]:
    """The heads whose promotion a rollback undid."""
    moves = {run.move.run: run.move for run in runs if run.move}
    undone = [move.undoes for move in moves.values() if move.undoes and move.state == promotion.MOVED]
    return {moves[run].commit for run in undone if run in moves}


def _recorded(runs: Sequence[PastRun]) -> Recorded:
    oldest_first = runs[::-1]  # and moves of one second in this order
    moves = sorted((run.move for run in oldest_first if run.move), key=lambda move: move.at)
    dated = [(ended, run.change) for run in oldest_first if run.change and (ended := moment.parse(run.ended))]
    return Recorded(tuple(moves), tuple(sorted(dated, key=lambda change: change[0])))
