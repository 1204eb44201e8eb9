"""Read the metrics of tasks: their summaries from `last_metrics`, and whole curves.

The summaries hold the extremes of the whole curve; the curves themselves are thinned by the server.
"""

import math
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.gate import Gate, Reported, Summary

_MACHINE = ":monitor:"  # begins the titles of what the SDK reports about the machine


_MOST_POINTS = 2000  # of a curve


Points = tuple[tuple[float, float], ...]  # (iteration, value)


def fields(gates: Sequence[Gate]) -> list[str]:
    """The fields of a task that hold the summaries of the gates' metrics."""
    return sorted({f"last_metrics.{_key(gate.title)}.{_key(gate.series)}" for gate in gates})


def reported(task: Mapping[str, Any], gates: Sequence[Gate]) -> Reported:
    """The summary of each gate's metric, from a task read with `fields(gates)`; None if it was not reported."""
    metrics = task.get("last_metrics") or {}
    items = {gate: (metrics.get(_key(gate.title)) or {}).get(_key(gate.series)) for gate in gates}
    return {gate: _summary(item) if item else None for gate, item in items.items()}


def _key(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()  # how the server keys last_metrics


def scalars(clearml: ClearML, task: str) -> list[Summary]:
    """The summaries of all series of a task (the server keeps up to 2,000), without those of the machine."""
    titles = (task_fields.read(clearml, task, ["last_metrics"]).get("last_metrics") or {}).values()
    summaries = [_summary(item) for title in titles for item in title.values()]
    return sorted((s for s in summaries if not is_of_machine(s.title)), key=lambda s: (s.title, s.series))


def series_names(clearml: ClearML, task: str) -> list[str]:
    """`title/series` of each series of a task, without those of the machine."""
    return [f"{summary.title}/{summary.series}" for summary in scalars(clearml, task)]


def is_of_machine(title: str) -> bool:
    """True if the SDK itself reports series of this title, such as the GPU's load."""
    return title.startswith(_MACHINE)


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
    )


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # a server can hold "NaN" as text, or nothing
    except (TypeError, ValueError):
        return float("nan")
