"""Compare a candidate with the baseline: the gates' judgements, what else differs, and warnings about the baseline.

The step `compare` does it before a merge, and `promote` once more after it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clearml_ci.clearml_api import project_lookup, promotion_ledger, task_inputs, task_metrics, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import baseline, comparability, errors, formatting, recorded_task, repository_url
from clearml_ci.core import gate as gates
from clearml_ci.core.comparability import Difference
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.gate import Gate, Judgement, Reported
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import CompareResult
from clearml_ci.decisions import promotion
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import commit_history
from clearml_ci.parameters.check import Check

Judged = list[tuple[Gate, Judgement]]
Measured = Sequence[tuple[RecordedTask, Reported]]  # tasks with their metrics


_NOT_MEASURED = (Outcome.INCONCLUSIVE, None)  # the outcome and the value of a gate whose metric was not reported


def with_baseline(
    clearml: ClearML,
    github: GitHub | None,
    run: Run,
    check: Check,
    candidate: TaskDocument,
    *,
    main_task: str | None = None,
    doubt: str = "",
    against: Sequence[str] = (),
) -> CompareResult:
    """Compare the candidate with the tagged tasks of its project, or of the policy's.

    `main_task`: the id of the task that the merge base was judged by, if it was found. A candidate that carries the tag
    itself is compared with the others that do. Without `github` the baseline's commit is not looked up. With a `doubt`
    about the candidate's values no gate holds. `against`: the ids of the tasks that had the tag, if it has moved since.
    """
    _, reported = task_records.with_metrics(clearml, [candidate["id"]], check.gates)[candidate["id"]]
    earlier = task_records.with_metrics(clearml, against, check.gates).values()
    every = list(earlier) or baselines(clearml, check, candidate["project_id"])
    tagged = [(task, metrics) for task, metrics in every if task.id != candidate["id"]]
    unusable = baseline.why_unusable([task for task, _ in tagged], tag=check.best_tag)
    unusable = unusable or _missing(clearml, run, check, candidate, every)
    judged = _judge(check, candidate["id"], reported, tagged, unusable)
    compared = _compared(judged, tagged)
    differences = _differences(clearml, check, candidate["id"], compared)
    judged, violations = _like_for_like(check, judged, differences)
    judged = _with_names(clearml, candidate["id"], judged)
    judged = [(gate, gates.doubted(judgement, doubt)) for gate, judgement in judged]
    outcome, reason = gates.decide(judged)
    main, of_main = _main(clearml, check, main_task)
    return {
        "outcome": outcome,
        "reason": reason,
        "baseline": recorded_task.as_document(compared[0]) if compared else None,
        "main_baseline": recorded_task.as_document(main) if main else None,
        "gates": [gates.as_row(gate, judgement, main=_value(gate, of_main)) for gate, judgement in judged],
        "differences": comparability.as_documents(differences[compared[0].id]) if compared else [],
        "differences_total": len(differences[compared[0].id]) if compared else 0,
        "warnings": [
            *violations,
            *_of_baselines(github, check, [task for task, _ in tagged], compared),
            *(judgement.warning for _, judgement in judged if judgement.warning),
        ],
    }


def tagged_tasks(clearml: ClearML, check: Check, project_id: str | None) -> Measured:
    """All tasks of a project (None: the workspace) and of the check's name that carry the tag, with their metrics."""
    return task_records.tagged(
        clearml,
        projects=[project_id] if project_id else None,
        task_name=check.task_name,
        tag=check.best_tag,
        gates=check.gates,
    )


def baselines(clearml: ClearML, check: Check, project_id: str) -> Measured:
    """The tagged tasks of the policy's project, not only of the candidate's: a pull request can change its task's.

    Without a project: those of the same repository in the whole workspace, and those of the candidate's project, which
    is `project_id`.
    """
    if check.project:
        return tagged_tasks(clearml, check, project_lookup.existing_id(clearml, check.project))
    return [
        (task, metrics)
        for task, metrics in tagged_tasks(clearml, check, None)
        if task.project_id == project_id or repository_url.is_one_of(task.repository, check.pull_request.repositories)
    ]


def _missing(clearml: ClearML, run: Run, check: Check, candidate: TaskDocument, tagged: Measured) -> str | None:
    """Error if no task carries the tag although a promotion once gave it to one: that is no first model."""
    if any(baseline.usable(task) for task, _ in tagged):
        return None
    moves = promotion.moves_of_tag(
        promotion_ledger.moves(clearml, run.project),
        tag=check.best_tag,
        project_id=candidate["project_id"] if check.project else "",
        task_name=check.task_name,
    )
    done = next((move for move in moves if move.state == promotion.MOVED), None)
    return baseline.missing(tag=check.best_tag, last=done.to) if done else None


def _judge(check: Check, candidate: str, reported: Reported, tagged: Measured, unusable: str | None) -> Judged:
    usable = [(task, metrics) for task, metrics in tagged if baseline.usable(task)]
    judged = [
        (gate, gates.judge(gate, {candidate: reported[gate]}, {task.id: metrics[gate] for task, metrics in usable}))
        for gate in check.gates
    ]
    if unusable is None:
        return judged
    return [
        (gate, replace(judgement, outcome=Outcome.ERROR, reason=unusable, warning="")) for gate, judgement in judged
    ]


def _compared(judged: Judged, tagged: Measured) -> list[RecordedTask]:
    """The tasks that the gates were judged against, in the order of the gates."""
    ids = dict.fromkeys(judgement.baseline_id for _, judgement in judged if judgement.baseline_id)
    tasks = {task.id: task for task, _ in tagged}
    return [tasks[task] for task in ids]


def _differences(
    clearml: ClearML, check: Check, candidate: str, baselines: Sequence[RecordedTask]
) -> dict[str, list[Difference]]:
    """The differences from each of the baselines, by their ids."""
    if not baselines:
        return {}
    inputs = task_inputs.read(clearml, [candidate, *(task.id for task in baselines)])
    return {task.id: comparability.differences(check.alike, inputs[candidate], inputs[task.id]) for task in baselines}


def _like_for_like(
    check: Check, judged: Judged, differences: Mapping[str, list[Difference]]
) -> tuple[Judged, list[str]]:
    """The judgements, void if the policy requires like for like, and warnings if it only asks for those."""
    violations = {task: text for task, found in differences.items() if (text := comparability.violation(found))}
    if check.alike.difference == "warn":
        return judged, [f"{formatting.capitalize_first(text)}." for text in dict.fromkeys(violations.values())]
    return [
        (gate, gates.without_comparison(judgement, violations[judgement.baseline_id]))
        if judgement.baseline_id in violations
        else (gate, judgement)
        for gate, judgement in judged
    ], []


def _with_names(clearml: ClearML, candidate: str, judged: Judged) -> Judged:
    """Reasons that name the nearest metric if one was not reported."""
    unmeasured = [gate for gate, judgement in judged if (judgement.outcome, judgement.value) == _NOT_MEASURED]
    known = task_metrics.series_names(clearml, candidate) if unmeasured else []
    return [
        (gate, replace(judgement, reason=judgement.reason + errors.nearest(gate.name, known, what="it reported")))
        if gate in unmeasured and gate.name not in known
        else (gate, judgement)
        for gate, judgement in judged
    ]


def _of_baselines(
    github: GitHub | None, check: Check, tagged: Sequence[RecordedTask], compared: Sequence[RecordedTask]
) -> list[str]:
    """Warnings about the tagged tasks."""
    on_base = None
    if github and compared and check.pull_request.base:
        on_base = commit_history.is_on_base_branch(github, check, compared[0].commit)
    return baseline.warnings(tagged, compared, tag=check.best_tag, baseline_on_base=on_base)


def _main(clearml: ClearML, check: Check, task: str | None) -> tuple[RecordedTask | None, Reported]:
    """The base branch's own task, which is only shown: without it the check goes on."""
    if task:
        with contextlib.suppress(ClearMLError):
            return task_records.with_metrics(clearml, [task], check.gates)[task]
    return None, {}


def _value(gate: Gate, reported: Reported) -> float | None:
    summary = reported.get(gate)
    return gates.value_of(gate, summary) if summary else None
