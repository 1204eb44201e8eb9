"""Compare the candidate's metric with the best task's: the gate."""

from collections.abc import Mapping
from typing import Any

from clearml_ci import check, clearml_gateway, errors, evidence, gate, step
from clearml_ci.check import Check, Metric
from clearml_ci.clearml_gateway import ClearML, Run, Step
from clearml_ci.evidence import RecordedTask


def compare(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"outcome", "reason", "baseline": task or None, "gate": the numbers, "warnings"}`."""
    wanted = check.from_arguments(run.arguments)
    candidate = _candidate(clearml_gateway.steps(clearml, run.id))
    if not candidate or not wanted.metric:
        return {"outcome": None, "reason": "nothing to compare: there is no candidate"}
    return _judge(clearml, wanted, wanted.metric, candidate)


def _candidate(steps: Mapping[str, Step]) -> dict[str, str] | None:
    """The task that was found, or the one that was trained for this check."""
    results = [steps[name].result or {} for name in ("find_task", "remote_run") if name in steps]
    return next((result["candidate"] for result in results if result.get("candidate")), None)


def _judge(clearml: ClearML, wanted: Check, metric: Metric, candidate: dict[str, str]) -> dict[str, Any]:
    summary = clearml_gateway.metric_of(clearml, candidate["id"], metric)
    tagged = clearml_gateway.best_tasks(
        clearml, project=candidate["project_id"], task_name=wanted.task_name, tag=wanted.best_tag, metric=metric
    )
    bests = {task.id: best for task, best in tagged if not evidence.unusable(task)}
    judged = gate.judge(metric, summary, bests)
    outcome, reason = judged.outcome, judged.reason
    if not bests and (lost := _lost_best(wanted, [task for task, _ in tagged])):
        outcome, reason = "error", lost
    if summary is None:
        known = clearml_gateway.series_names(clearml, candidate["id"])
        reason += errors.nearest(metric.name, known, what="it reported")
    baseline = next((task for task, _ in tagged if task.id == judged.baseline_id), None)
    return {
        "outcome": outcome,
        "reason": reason,
        "baseline": evidence.as_document(baseline) if baseline else None,
        "gate": gate.as_document(metric, judged) | {"outcome": outcome},
        "warnings": _warnings(wanted, len(bests)),
    }


def _lost_best(wanted: Check, tagged: list[RecordedTask]) -> str | None:
    """Why the best cannot be compared with: that is no first model. Drafts do not count: clones copy tags."""
    for best in tagged:
        if best.archived or best.status not in evidence.RUNNING:
            return (
                f"the task with the tag '{wanted.best_tag}' ({best.name}, {best.id}) {evidence.unusable(best)}, "
                "so there is nothing to compare with: restore it, or give the tag to another task"
            )
    return None


def _warnings(wanted: Check, bests: int) -> list[str]:
    if bests < 2:
        return []
    return [f"{bests} tasks carry the tag '{wanted.best_tag}'; the best of them counts."]


if __name__ == "__main__":
    step.main(compare)
