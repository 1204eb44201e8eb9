"""Drift: the default branch became worse than its baseline, or than its own earlier runs."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from clearml_ci.core import baseline, recorded_task
from clearml_ci.core.formatting import apart, count
from clearml_ci.core.gate import Gate, Judgement, Reported, Summary, can_be_trusted, judge, value_of
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Key, Subject, Tasks, key_of, subject_of

_EARLIER_RUNS = 20  # the spread is that of so many


_FAILURES = 3  # so many failed trainings in a row are a finding


def from_baselines(baselines: Tasks, recorded: Tasks, gates: Sequence[Gate]) -> list[Finding]:
    """Findings that the default branch's newest task is worse than the baseline by more than the gates allow.

    `recorded` are the tasks of the default branch, newest first.
    """
    newest = _newest_runs(recorded)
    found = []
    for key, (task, reported) in newest.items():
        own = {other.id: values for other, values in baselines if key_of(other) == key and baseline.usable(other)}
        if own and task.id not in own:
            found += [_drifted(gate, task, reported, own) for gate in gates]
    return [finding for finding in found if finding]


def _newest_runs(recorded: Tasks) -> dict[Key, tuple[RecordedTask, Reported]]:
    newest: dict[Key, tuple[RecordedTask, Reported]] = {}
    for task, reported in recorded:
        if recorded_task.is_clean_run(task):
            newest.setdefault(key_of(task), (task, reported))
    return newest


def missing_runs(baselines: Sequence[RecordedTask], recorded: Tasks) -> list[Finding]:
    """Findings that no newer task of the default branch can be compared with these baselines, which are on it.

    A run of any of the branch's newest commits is enough: the next commit's training may not have ended yet.
    """
    newest = _newest_runs(recorded)
    without = {key_of(task): task for task in baselines if baseline.usable(task) and key_of(task) not in newest}
    message = (
        "none of the newest commits of the default branch has a clean, successful task in its project, of its name"
    )
    remedy = "train the default branch from a clean commit, or merge with the check as a required status"
    return [Finding("no_run", FINDING, subject_of(task), message, remedy) for task in without.values()]


def failed_runs(recorded: Tasks, *, watched: Collection[Key] | None) -> list[Finding]:
    """Findings that the newest three trainings of the default branch failed, for each project and task name.

    `watched` are those that have a baseline, None for all: a task of another name may be an experiment.
    """
    ended: dict[Key, list[RecordedTask]] = defaultdict(list)
    for task, _ in recorded:
        if (
            task.status not in recorded_task.RUNNING
            and not task.archived
            and task.purpose not in recorded_task.PURPOSES
        ):
            ended[key_of(task)].append(task)
    message = f"the newest {_FAILURES} trainings of the default branch failed"
    remedy = "repair the training, or the agent that runs it"
    return [
        Finding("failing", FINDING, subject_of(tasks[0]), message, remedy)
        for tasks in ended.values()
        if (watched is None or key_of(tasks[0]) in watched)
        and [task.status for task in tasks[:_FAILURES]] == ["failed"] * _FAILURES
    ]


def _drifted(gate: Gate, task: RecordedTask, reported: Reported, baselines: Mapping[str, Reported]) -> Finding | None:
    compared = {id_: values[gate] for id_, values in baselines.items()}
    judged = judge(gate, {task.id: reported[gate]}, compared)
    if judged.outcome not in (Outcome.REGRESSED, Outcome.INCONCLUSIVE):
        return None
    numbers = ""
    if judged.value is not None and judged.baseline is not None:
        numbers = " ({}, baseline {})".format(*apart(judged.value, judged.baseline))
    message = f"the newest task of the default branch, commit {task.commit[:10]}: {judged.reason}{numbers}"
    remedy = "find the merge that caused it, or train the default branch again"
    return Finding("drift", _severity(gate, judged), subject_of(task), message, remedy)


def of_retraining(trainings: Tasks, recorded: Tasks, gates: Sequence[Gate]) -> list[Finding]:
    """Findings that new `trainings` of the default branch are outside the spread of its own earlier runs.

    `recorded` are its tasks, newest first; the last 20 count. The median of the new values must not be worse than the
    worst of the earlier ones by more than a gate allows.
    """
    ids = {task.id for task, _ in trainings}
    others = [(task, values) for task, values in recorded if task.id not in ids and recorded_task.is_clean_run(task)]
    earlier = others[:_EARLIER_RUNS]
    subject = subject_of(trainings[0][0])
    if not earlier:
        message = "the default branch was trained again, but has no earlier runs to compare with"
        return [Finding("retrained", NOTE, subject, message, "nothing: the next audit compares with these")]
    return [finding for gate in gates if (finding := _outside(gate, trainings, earlier, subject))]


def _outside(gate: Gate, trainings: Tasks, earlier: Tasks, subject: Subject) -> Finding | None:
    judged = judge(gate, {task.id: values[gate] for task, values in trainings}, _worst(gate, earlier))
    if judged.outcome in (Outcome.PASSED, Outcome.IMPROVED):
        return None
    if judged.outcome == Outcome.NO_BASELINE:
        reason = f"none of the earlier runs has a finite {gate.name}"
    elif judged.absolute or judged.outcome == Outcome.INCONCLUSIVE:
        reason = judged.reason
    else:
        runs, (value, worst) = count(len(earlier), "earlier run"), apart(judged.value or 0.0, judged.baseline or 0.0)
        reason = f"{gate.name} is {value} (median), worse than in any of {runs}: {worst} or better"
    message = f"the default branch, trained again {count(len(trainings), 'time')}: {reason}"
    remedy = "check what is not pinned: packages, data, hardware"
    return Finding("retrained", _severity(gate, judged), subject, message, remedy)


def _worst(gate: Gate, tasks: Tasks) -> dict[str, Summary]:
    """The summary with the worst value that can be trusted, by its task, or nothing."""
    known = {task.id: values[gate] for task, values in tasks}
    sound = {task: summary for task, summary in known.items() if summary is not None and can_be_trusted(gate, summary)}
    pick = min if gate.goal == "maximize" else max
    return dict([pick(sound.items(), key=lambda item: value_of(gate, item[1]))]) if sound else {}


def _severity(gate: Gate, judged: Judgement) -> str:
    """A value that is missing or not finite is a finding like one that is worse."""
    return FINDING if judged.outcome not in HOLDS and gate.required else NOTE
