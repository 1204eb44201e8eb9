"""Read the metrics of tasks: their summaries from `last_metrics`, and whole curves.

The summaries hold the extremes of the whole curve; the curves themselves are thinned by the server.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from hashlib import md5
from typing import Any

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import checkpoint, slices
from clearml_ci.core.checkpoint import Name
from clearml_ci.core.gate import Gate, Reported, Summary

_MOST_POINTS = 2000  # of a curve


_MOST_TASKS = 100  # of one request for curves (`multi_task_histogram_limit`)


Points = tuple[tuple[float, float], ...]  # (iteration, value)


def fields(gates: Sequence[Gate]) -> list[str]:
    """The fields of a task that hold the summaries of the gates' metrics: all of them for slices.

    The number of all series shows whether ClearML has kept each slice.
    """
    if any(gate.is_pattern for gate in gates):
        return ["last_metrics"]
    return sorted({f"last_metrics.{_key(gate.title)}.{_key(gate.series)}" for gate in gates})


def reported(task: Mapping[str, Any], gates: Sequence[Gate]) -> Reported:
    """The summary of each gate's metric, from a task read with `fields(gates)`; None if it was not reported.

    A pattern has None; those of its slices that the task reported follow.
    """
    metrics = task.get("last_metrics") or {}
    names = (
        [(item["metric"], item["variant"]) for item in _items(metrics)]
        if any(gate.is_pattern for gate in gates)
        else []
    )
    every = list(gates)
    for pattern in (gate for gate in gates if gate.is_pattern):
        every += slices.of_pattern(pattern, names)
    found = {gate: (metrics.get(_key(gate.title)) or {}).get(_key(gate.series)) for gate in every}
    return {gate: _summary(item) if item and not gate.is_pattern else None for gate, item in found.items()}


def series_kept(task: Mapping[str, Any]) -> int:
    """The number of a task's series, if all of them were read."""
    return sum(1 for _ in _items(task.get("last_metrics") or {}))


def _items(metrics: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (item for title in metrics.values() for item in title.values())


def _key(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()  # how the server keys last_metrics


def scalars(clearml: ClearML, task: str) -> list[Summary]:
    """The summaries of all series of a task (the server keeps up to 2,000), without those of the machine."""
    metrics = task_fields.read(clearml, task, ["last_metrics"]).get("last_metrics") or {}
    summaries = [_summary(item) for item in _items(metrics)]
    return sorted((s for s in summaries if not is_of_machine(s.title)), key=lambda s: (s.title, s.series))


def series_names(clearml: ClearML, task: str) -> list[Name]:
    """Title and series of each series of a task, without those of the machine."""
    return [(summary.title, summary.series) for summary in scalars(clearml, task)]


def is_of_machine(title: str) -> bool:
    """True if the SDK itself reports series of this title, such as the GPU's load."""
    return title.startswith(slices.MACHINE)


def curves(clearml: ClearML, gates_of: Mapping[str, Sequence[Gate]]) -> dict[tuple[str, Gate], Points]:
    """The finite points of each task's metrics, 2,000 at most: one request a task.

    `gates_of` maps ids of tasks to gates. The server averages a longer curve over intervals, and has no curve of a
    single value.
    """
    found = {}
    for task, gates in gates_of.items():
        answer = clearml.call(
            "events.scalar_metrics_iter_histogram",
            task=task_fields.require_id(task),
            key="iter",
            samples=_MOST_POINTS,
            metrics=[{"metric": title, "variants": variants} for title, variants in _variants(gates).items()],
        )
        for gate in gates:
            found[task, gate] = _points((answer.get(gate.title) or {}).get(gate.series) or {})
    return found


def at_iterations(clearml: ClearML, tasks: Sequence[str], names: Sequence[Name]) -> Mapping[str, checkpoint.Curves]:
    """The curves of these metrics in each task, value by iteration: one request for each 100 tasks.

    A curve of 6,000 points or more is averaged. All tasks must exist.
    """
    metrics: dict[str, list[str]] = {}
    for title, series in names:
        metrics.setdefault(title, []).append(series)
    found: dict[str, dict[Name, dict[float, float]]] = {task: {} for task in tasks}
    for start in range(0, len(tasks), _MOST_TASKS):
        answer = clearml.call(
            "events.multi_task_scalar_metrics_iter_histogram",
            tasks=list(tasks[start : start + _MOST_TASKS]),
            key="iter",
            samples=checkpoint.MOST_POINTS,
            metrics=[{"metric": title, "variants": variants} for title, variants in metrics.items()],
        )
        for title, by_series in (answer.get("metrics") or {}).items():
            for series, by_task in by_series.items():
                for task, curve in by_task.items():
                    found[task][title, series] = dict(_points(curve))
    return found


def _variants(gates: Sequence[Gate]) -> dict[str, list[str]]:
    return {gate.title: [other.series for other in gates if other.title == gate.title] for gate in gates}


def _points(curve: Mapping[str, Any]) -> Points:
    pairs = [(_float(x), _float(y)) for x, y in zip(curve.get("x") or [], curve.get("y") or [], strict=False)]
    return tuple(sorted((x, y) for x, y in pairs if math.isfinite(x) and math.isfinite(y)))


def _summary(item: Mapping[str, Any]) -> Summary:
    last = _float(item.get("value"))
    return Summary(
        title=item["metric"],
        series=item["variant"],
        last=last,
        minimum=_float(item.get("min_value", last)),
        maximum=_float(item.get("max_value", last)),
        points=item.get("count"),
    )


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # a server can hold "NaN" as text, or nothing
    except (TypeError, ValueError):
        return float("nan")
