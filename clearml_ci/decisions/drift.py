"""The default branch's newest runs: worse than its baseline, missing, or failed. `main_drift` looks at all of them."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from clearml_ci.core import baseline, recorded_task, slices
from clearml_ci.core.formatting import apart
from clearml_ci.core.gate import Gate, Judgement, Reported, judge
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions.audit_findings import FINDING, NOTE, Finding, Key, Tasks, key_of, subject_of

_FAILURES = 3  # so many failed trainings in a row are a finding


def from_baselines(
    baselines: Tasks, recorded: Tasks, gates: Sequence[Gate], *, explained: Collection[tuple[Key, Gate]] = ()
) -> list[Finding]:
    """Findings that the default branch's newest task is worse than the baseline by more than the gates allow.

    `recorded` are the tasks of the default branch, newest first. A loss that the noise has `explained`, of a model and
    a gate, is a note: the baseline may be a lucky run.
    """
    newest = _newest_runs(recorded)
    found = []
    for key, (task, reported) in newest.items():
        own = {other.id: values for other, values in baselines if key_of(other) == key and baseline.usable(other)}
        if own and task.id not in own:
            every = slices.expanded(gates, [reported, *own.values()])
            found += [_drifted(gate, task, reported, own, is_noise=(key, gate) in explained) for gate in every]
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


def _drifted(
    gate: Gate, task: RecordedTask, reported: Reported, baselines: Mapping[str, Reported], *, is_noise: bool
) -> Finding | None:
    compared = {id_: values.get(gate) for id_, values in baselines.items()}
    judged = judge(gate, {task.id: reported.get(gate)}, compared)
    if judged.outcome not in (Outcome.REGRESSED, Outcome.INCONCLUSIVE):
        return None
    numbers = ""
    if judged.value is not None and judged.baseline is not None:
        numbers = " ({}, baseline {})".format(*apart(judged.value, judged.baseline))
    message = f"the newest task of the default branch, commit {task.commit[:10]}: {judged.reason}{numbers}"
    if is_noise and judged.outcome == Outcome.REGRESSED and not judged.absolute:
        message += "; beside the runs before it, that is noise"
        return Finding("drift", NOTE, subject_of(task), message, "nothing, unless the next runs are as low")
    remedy = "find the merge that caused it, or train the default branch again"
    return Finding("drift", _severity(gate, judged), subject_of(task), message, remedy)


def _severity(gate: Gate, judged: Judgement) -> str:
    """A value that is missing or not finite is a finding like one that is worse."""
    return FINDING if judged.outcome not in HOLDS and gate.required else NOTE
