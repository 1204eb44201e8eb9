"""A candidate against the best: the gates' judgements, what else differs, and what has to be said about the best.

What the step `compare` asks before a merge, and `promote` once more after it.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clearml_ci.clearml_api import project_lookup, promotion_ledger, task_inputs, task_metrics, task_records
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import baseline, comparability, errors, gate, recorded_task, repository_url
from clearml_ci.core.comparability import Difference
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.gate import Gate, Judgement, Reported
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.core.step_results import CompareResult
from clearml_ci.decisions import promotion
from clearml_ci.operations import commit_history, github_access
from clearml_ci.parameters.check import Check

Judged = list[tuple[Gate, Judgement]]


def with_best(
    clearml: ClearML,
    run: Run,
    wanted: Check,
    candidate: TaskDocument,
    *,
    main: str | None = None,
    beside: bool = False,
) -> CompareResult:
    """`{"outcome", "reason", "baseline": task or None, "main_baseline", "gates", "differences", "warnings"}`.

    `main`: the id of the task that main's own merge base was judged by, where somebody found it. A candidate that
    carries the tag itself is compared with the others that do. `beside`: only with those of the candidate's project,
    from which a promotion would take the tag.
    """
    _, reported = task_records.with_metrics(clearml, [candidate["id"]], wanted.gates)[candidate["id"]]
    own = candidate["project_id"]
    every = tagged_tasks(clearml, wanted, own) if beside else _bests(clearml, wanted, candidate)
    tagged = [(task, metrics) for task, metrics in every if task.id != candidate["id"]]
    lost = baseline.lost([task for task, _ in tagged], tag=wanted.best_tag)
    lost = lost or _missing(clearml, run, wanted, candidate, every)
    judged = _judge(wanted, candidate["id"], reported, tagged, lost)
    counted = {one.baseline_id: None for _, one in judged if one.baseline_id}
    bests = [task for id_ in counted for task, _ in tagged if task.id == id_]
    differences = _differences(clearml, wanted, candidate["id"], bests)
    judged, unlike = _like_for_like(wanted, judged, differences)
    judged = _with_names(clearml, candidate["id"], judged)
    outcome, reason = gate.decide(judged)
    main_task, of_main = _main(clearml, main, wanted.gates)
    return {
        "outcome": outcome,
        "reason": reason,
        "baseline": recorded_task.as_document(bests[0]) if bests else None,
        "main_baseline": recorded_task.as_document(main_task) if main_task else None,
        "gates": [gate.as_row(one, told, main=_value_of_main(one, of_main)) for one, told in judged],
        "differences": comparability.as_documents(differences[bests[0].id]) if bests else [],
        "differences_total": len(differences[bests[0].id]) if bests else 0,
        "warnings": [
            *unlike,
            *_of_bests(wanted, [task for task, _ in tagged], bests),
            *(told.warning for _, told in judged if told.warning),
        ],
    }


def _bests(clearml: ClearML, wanted: Check, candidate: TaskDocument) -> list[tuple[RecordedTask, Reported]]:
    """Where the policy looks, not only where the candidate is: a pull request can change its task's project.

    Without a project, the bests of the same repository count, wherever they are, and those beside the candidate.
    """
    if wanted.project:
        return tagged_tasks(clearml, wanted, project_lookup.existing_id(clearml, wanted.project))
    return [
        (task, metrics)
        for task, metrics in tagged_tasks(clearml, wanted, None)
        if task.project_id == candidate["project_id"]
        or repository_url.is_one_of(task.repository, wanted.pull_request.repositories)
    ]


def tagged_tasks(clearml: ClearML, wanted: Check, project_id: str | None) -> list[tuple[RecordedTask, Reported]]:
    """All tasks of a project (None: the workspace) and of the check's name that carry the tag, with their metrics."""
    return task_records.tagged(
        clearml,
        projects=[project_id] if project_id else None,
        task_name=wanted.task_name,
        tag=wanted.best_tag,
        gates=wanted.gates,
    )


def _missing(
    clearml: ClearML,
    run: Run,
    wanted: Check,
    candidate: TaskDocument,
    tagged: Sequence[tuple[RecordedTask, Reported]],
) -> str | None:
    """Why it is no first model that no task carries the tag: a promotion once gave it to one."""
    if any(baseline.usable(task) for task, _ in tagged):
        return None
    moves = promotion.of_tag(
        promotion_ledger.moves(clearml, run.project),
        tag=wanted.best_tag,
        project_id=candidate["project_id"],
        task_name=wanted.task_name,
    )
    done = next((move for move in moves if move.state == promotion.MOVED), None)
    return baseline.missing(tag=wanted.best_tag, last=done.to) if done else None


def _of_bests(wanted: Check, tagged: Sequence[RecordedTask], bests: Sequence[RecordedTask]) -> list[str]:
    hub = github_access.github_if_any(wanted) if bests and wanted.pull_request.base else None
    on_base = commit_history.is_on_base(hub, wanted, bests[0].commit) if hub else None
    return baseline.warnings(tagged, bests, tag=wanted.best_tag, baseline_on_base=on_base)


def _judge(
    wanted: Check,
    candidate: str,
    reported: Reported,
    tagged: Sequence[tuple[RecordedTask, Reported]],
    lost: str | None,
) -> Judged:
    usable = [(task, metrics) for task, metrics in tagged if baseline.usable(task)]
    judged = [
        (one, gate.judge(one, {candidate: reported[one]}, {task.id: metrics[one] for task, metrics in usable}))
        for one in wanted.gates
    ]
    return (
        [(one, replace(told, outcome=Outcome.ERROR, reason=lost, warning="")) for one, told in judged]
        if lost
        else judged
    )


def _differences(
    clearml: ClearML, wanted: Check, candidate: str, bests: Sequence[RecordedTask]
) -> dict[str, list[Difference]]:
    """What differs from each of the bests, by their ids."""
    if not bests:
        return {}
    inputs = task_inputs.read(clearml, [candidate, *(best.id for best in bests)])
    return {best.id: comparability.differences(wanted.alike, inputs[candidate], inputs[best.id]) for best in bests}


def _like_for_like(
    wanted: Check, judged: Judged, differences: Mapping[str, list[Difference]]
) -> tuple[Judged, list[str]]:
    """The judgements, void where the policy says so, and the warnings where it only wants to be told."""
    unlike = {best: said for best, found in differences.items() if (said := comparability.unlike(found))}
    if wanted.alike.difference == "warn":
        return judged, [f"{said[:1].upper()}{said[1:]}." for said in dict.fromkeys(unlike.values())]
    return [
        (one, gate.void(told, unlike[told.baseline_id]) if told.baseline_id in unlike else told) for one, told in judged
    ], []


def _with_names(clearml: ClearML, candidate: str, judged: Judged) -> Judged:
    """Reasons that name the nearest metric where one was not reported."""
    missing = [one for one, told in judged if told.outcome == Outcome.INCONCLUSIVE and told.value is None]
    known = task_metrics.series_names(clearml, candidate) if missing else []
    return [
        (one, replace(told, reason=told.reason + errors.nearest(one.name, known, what="it reported")))
        if one in missing and one.name not in known
        else (one, told)
        for one, told in judged
    ]


def _main(clearml: ClearML, task: str | None, gates: Sequence[Gate]) -> tuple[RecordedTask | None, Reported]:
    """main's own task, which is only shown: where it is gone, the check goes on without it."""
    if task:
        with contextlib.suppress(ClearMLError):
            return task_records.with_metrics(clearml, [task], gates)[task]
    return None, {}


def _value_of_main(one: Gate, reported: Reported) -> float | None:
    summary = reported.get(one)
    return gate.value_of(one, summary) if summary else None
