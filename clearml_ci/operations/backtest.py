"""Judge the checks of the past once more, by other rules, with what was known at their time. Nothing is changed."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from clearml_ci.clearml_api import best_tag, project_lookup, task_inputs, task_metrics, task_records
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import Measured
from clearml_ci.core import baseline, checkpoint, comparability, moment, slices
from clearml_ci.core import gate as gates
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import (
    backtest,
    continued_task,
    evidence,
    noise_rule,
    past_state,
    reference,
    reference_tags,
    tag_ranking,
)
from clearml_ci.decisions.backtest import Backtest, Past, Point, Replayed
from clearml_ci.decisions.gate_noise import Judged
from clearml_ci.decisions.past_state import Recorded
from clearml_ci.operations import baselines, compare, noise_figures, reference_runs
from clearml_ci.operations.checkpoints import Readings
from clearml_ci.operations.compare import Known
from clearml_ci.operations.past_checks import PastChecks
from clearml_ci.operations.reference_runs import Tagged
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import TRAINING

Rules = Mapping[str, Check]  # by the name of a policy: the check that it describes


_COMMIT = re.compile(r"[0-9a-f]{40}")  # a user can edit those of a run


# The reasons why a check is left out.
NO_MODEL = "the policy judges no model"
NO_GATE = "the policy has no gate"
NO_TASK = "no task of its commit is in ClearML: it was deleted, or never trained"
LATER = "its tasks ended after the check: they were reset, continued or trained later"
NO_EVIDENCE = "no task of its commit is a clean, finished run"
NO_BASELINE = "there was no baseline yet"
BASELINE_GONE = "its baseline was deleted, or is no clean run any more"


@dataclass(frozen=True)
class _Tasks:
    """All tasks that a replay needs: by id, by commit, and those that carry tags now; their inputs and curves."""

    by_id: Mapping[str, Measured]
    by_commit: Mapping[str, Sequence[RecordedTask]]
    by_tag: Mapping[str, Sequence[Measured]]
    inputs: Mapping[str, Inputs]
    curves: Mapping[str, checkpoint.Curves]

    def read_at(self, gates: Sequence[Gate], runs: Readings) -> Readings:
        """The runs with the value of each gate at its checkpoint."""
        return {
            id_: (task, checkpoint.read(gates, values, self.curves.get(id_, {})))
            for id_, (task, values) in runs.items()
        }


def run(clearml: ClearML, rules: Rules, past: PastChecks, *, branch: str) -> list[Backtest]:
    """The outcomes of each of these policies: a few requests for each, and one for each 250 commits.

    Raises ClearMLError and UsageError.
    """
    return [_backtest(clearml, name, check, past, branch) for name, check in rules.items()]


def _backtest(clearml: ClearML, name: str, check: Check, past: PastChecks, branch: str) -> Backtest:
    check = replace(check, gates=checkpoint.resolved(check.gates, check.at))
    project = project_lookup.existing_id(clearml, check.project) if check.project else None
    tasks = _read(clearml, check, past, project)
    replayed = tuple(_replay(backtest.as_policy(check, each.check), each, tasks, past.recorded) for each in past.checks)
    found = next((task.project_id for task, _ in tasks.by_id.values()), "")
    figures = noise_figures.read(clearml, check, project_id=project or found, branch=branch) if check.gates else {}
    return Backtest(name, check, replayed, figures, past.unreadable)


def _read(clearml: ClearML, check: Check, past: PastChecks, project: str | None) -> _Tasks:
    """Read the tasks of all checks, and all that promotions recorded."""
    named = (commit for each in past.checks for commit in (each.check.commit, *each.check.facts.reusable_commits))
    commits = dict.fromkeys(filter(_COMMIT.fullmatch, named))
    projects = [project] if project else None
    tags = {**reference_runs.tags(check.best_tag), best_tag.MAIN_TAG: task_records.REFERENCE_STAMP}
    by_tag = task_records.by_tag(clearml, tags, projects=projects, task_name=check.task_name, gates=check.gates)
    of_commits = task_records.of_all_commits(
        clearml, list(commits), project=project, task_name=check.task_name, gates=check.gates
    )
    by_id = {task.id: (task, values) for found in by_tag.values() for task, values in found}
    by_id |= {task.id: (task, values) for task, values in of_commits if task.id not in by_id}
    recorded = [task for task in _recorded_ids(past.recorded, check.best_tag) if task not in by_id]
    by_id |= task_records.existing(clearml, recorded, check.gates)
    by_commit: dict[str, list[RecordedTask]] = defaultdict(list)
    for task, _ in of_commits:
        by_commit[task.commit.lower()].append(task)
    inputs = task_inputs.existing(clearml, list(by_id))
    every = slices.expanded(check.gates, [values for _, values in by_id.values()])
    names = checkpoint.names(every)
    curves = task_metrics.at_iterations(clearml, list(by_id), names) if names and by_id else {}
    return _Tasks(by_id, by_commit, by_tag, inputs, curves)


def _recorded_ids(recorded: Recorded, best: str) -> list[str]:
    moved = [task for move in recorded.moves if move.tag == best for task in (move.to, *move.previous)]
    kinds = [part for _, change in recorded.changes if change.best == best for part in (change.before, change.after)]
    return list(dict.fromkeys([*moved, *(task for part in kinds for task in part.ids)]))


def _replay(check: Check, past: Past, tasks: _Tasks, recorded: Recorded) -> Replayed:
    """Judge one check as its step `compare` would have, at its time."""
    if why := _why_not(check):
        return Replayed(past, None, why)
    known = _known(check, tasks, recorded.without(past.run), past.at)
    if isinstance(known, str):
        return Replayed(past, None, known)
    usable = [task for task, _ in known.tagged]
    unusable = baseline.why_unusable(usable, tag=check.best_tag)
    decided = compare.judge(check, known, tasks.read_at, unusable=unusable, repeats=check.repeats).own
    outcome, reason = gates.decide(decided.judged)
    if outcome == Outcome.ERROR:
        return Replayed(past, None, BASELINE_GONE)
    if outcome == Outcome.NO_BASELINE:
        return Replayed(past, None, NO_BASELINE)
    by_noise = [found.by_noise for found in decided.by_noise if found.by_noise]
    more = noise_rule.trainings(by_noise) if outcome == Outcome.INCONCLUSIVE else 0
    return Replayed(past, outcome, reason, more, tuple(map(_point, decided.by_noise)))


def _point(found: Judged) -> Point:
    document = found.document
    if document:
        return Point(found.gate, document["value"], document["limit"])
    return Point(found.gate, found.judgement.value, found.judgement.limit)


def _why_not(check: Check) -> str:
    if check.candidate == "none":
        return NO_MODEL
    return "" if check.gates else NO_GATE


def _known(check: Check, tasks: _Tasks, recorded: Recorded, at: datetime) -> Known | str:
    """The runs, baseline and reference that the check knew at that time; or the reason why it is left out."""
    choice, why = _choice(check, tasks, at)
    if choice is None or choice.candidate is None:
        return why
    candidate = choice.candidate
    runs = [(candidate, choice.doubt), *choice.others]
    every = _baselines(check, tasks, recorded, at, candidate)
    if every is None:
        return BASELINE_GONE
    return Known(
        measured={task.id: tasks.by_id[task.id] for task, _ in runs},
        doubts={task.id: doubt for task, doubt in runs},
        every=every,
        reference=_reference(check, tasks, recorded, at, candidate),
        inputs=tasks.inputs,
    )


def _choice(check: Check, tasks: _Tasks, at: datetime) -> tuple[evidence.Choice | None, str]:
    """The candidate among the tasks that had ended by then, or the reason why there is none."""
    own: Sequence[RecordedTask] = ()
    for commit in (check.commit, *check.facts.reusable_commits):
        of_commit = replace(check, commit=commit)
        own = tasks.by_commit.get(commit, ())
        ended = [task for task in own if _is_before(task, at)]
        choice = evidence.choose(of_commit, ended, doubt=lambda task: _doubt(check, task), most=evidence.MOST_RUNS)
        if check.candidate in TRAINING:
            choice = evidence.without_doubtful(choice)
        if choice.candidate:
            return choice, ""
    all_own = tasks.by_commit.get(check.commit, ())
    if not all_own:
        return None, NO_TASK
    return None, NO_EVIDENCE if any(_is_before(task, at) for task in all_own) else LATER


def _doubt(check: Check, task: RecordedTask) -> str:
    """As that of a check, but for the console of the task, which would be a request for each."""
    committed = moment.parse(check.facts.committed.get(task.commit, ""))
    return continued_task.doubt(task, committed=committed, starts=1)


def _is_before(task: RecordedTask, at: datetime) -> bool:
    ended = moment.parse(task.ended)
    return ended is None or ended <= at


def _baselines(
    check: Check, tasks: _Tasks, recorded: Recorded, at: datetime, candidate: RecordedTask
) -> list[Measured] | None:
    """The tasks that had the best tag at that time; None if none of them exists any more.

    Without a promotion they are those that have the tag now and had ended by then.
    """
    moves = [move for move in recorded.moves if (move.tag, move.task_name) == (check.best_tag, check.task_name)]
    names = {task.id: task.name for task, _ in tasks.by_id.values()}
    ids = past_state.baselines(moves, at, model_of=names)
    if ids is None:
        tagged = [(task, values) for task, values in tasks.by_tag[check.best_tag] if _is_before(task, at)]
        return [found for found in tagged if baselines.is_in_scope(check, found[0], candidate.project_id)]
    found = [tasks.by_id[task] for task in ids if task in tasks.by_id]
    return None if ids and not found else found


def _reference(check: Check, tasks: _Tasks, recorded: Recorded, at: datetime, candidate: RecordedTask) -> Tagged:
    """The reference of the candidate's model at that time.

    If none was recorded by then, it is made of the last runs of the default branch, as a promotion begins one.
    """
    now = {
        tag: [
            (task, values)
            for task, values in tagged
            if _since(task) <= at.timestamp() and baselines.is_in_scope(check, task, candidate.project_id)
        ]
        for tag, tagged in tasks.by_tag.items()
    }
    tagged = reference_runs.of_model(now, check.best_tag, candidate)
    carriers = past_state.reference(recorded, at, best=check.best_tag, name=candidate.name)
    if carriers is not None:
        kinds = (carriers.runs, carriers.showed, carriers.earlier)
        runs, showed, earlier = (tuple(_existing(tasks, kind, candidate)) for kind in kinds)
        tagged = Tagged(runs, showed, earlier, tagged.calibrated)
    if tagged.runs or tagged.showed:
        return tagged
    return replace(tagged, runs=tuple(_begun(check, tasks, now.get(best_tag.MAIN_TAG, ()), candidate)))


def _existing(tasks: _Tasks, ids: Iterable[str], candidate: RecordedTask) -> list[Measured]:
    """Those of the tasks that still exist, without runs of the candidate's own commit."""
    found = [tasks.by_id[task] for task in ids if task in tasks.by_id]
    return [(task, values) for task, values in found if task.commit != candidate.commit]


def _begun(check: Check, tasks: _Tasks, of_main: Iterable[Measured], candidate: RecordedTask) -> list[Measured]:
    """The last ten runs of the default branch that can be compared with the last one, in merge order."""
    own = {
        task.id: (task, values)
        for task, values in of_main
        if task.name == candidate.name and task.commit != candidate.commit and task.id in tasks.inputs
    }
    ordered = [task.id for task in reference_tags.in_merge_order(task for task, _ in own.values())]
    alike = [task for task in ordered if not _differs(check, tasks, task, ordered[-1])]
    return [own[task] for task in alike[-reference.FULL :]]


def _differs(check: Check, tasks: _Tasks, task: str, newest: str) -> str:
    return comparability.violation(comparability.differences(check.alike, tasks.inputs[task], tasks.inputs[newest]))


def _since(task: RecordedTask) -> float:
    """The moment from which a task has had its tag: that of its stamp, or else the end of the task."""
    if stamp := tag_ranking.parse_stamp(task.stamp):
        return stamp.at
    ended = moment.parse(task.ended)
    return ended.timestamp() if ended else 0.0
