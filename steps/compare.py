"""Compare the candidate's metric with the best task's: the gate."""

from typing import Any

from clearml_ci import check, clearml_gateway, errors, evidence, gate, step
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, Run


def compare(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"outcome", "reason", "baseline": task or None, "gate": the numbers, "warnings"}`."""
    wanted = check.from_arguments(run.arguments)
    found = clearml_gateway.steps(clearml, run.id).get("find_task")
    candidate = (found.result or {}).get("candidate") if found else None
    if not candidate or not wanted.metric:
        return {"outcome": None, "reason": "nothing to compare: there is no candidate"}
    return _judge(clearml, wanted, wanted.metric, candidate)


def _judge(clearml: ClearML, wanted: Check, metric: check.Metric, candidate: dict[str, str]) -> dict[str, Any]:
    summary = clearml_gateway.metric_of(clearml, candidate["id"], metric)
    tagged = clearml_gateway.best_tasks(
        clearml,
        project=candidate["project_id"],
        task_name=wanted.task_name,
        tag=wanted.best_tag,
        metric=metric,
    )
    judged = gate.judge(metric, summary, {task.id: best for task, best in tagged})
    baseline = next((task for task, _ in tagged if task.id == judged.baseline_id), None)
    reason = judged.reason
    if summary is None:
        names = clearml_gateway.series_names(clearml, candidate["id"])
        reason += errors.nearest(metric.name, names, what="it reported")
    return {
        "outcome": judged.outcome,
        "reason": reason,
        "baseline": evidence.as_document(baseline) if baseline else None,
        "gate": gate.as_document(metric, judged),
        "warnings": _warnings(wanted, len(tagged)),
    }


def _warnings(wanted: Check, tagged: int) -> list[str]:
    if tagged < 2:
        return []
    return [f"{tagged} tasks carry the tag '{wanted.best_tag}'; the best of them counts."]


if __name__ == "__main__":
    step.main(compare)
