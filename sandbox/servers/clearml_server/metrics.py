"""Values that the server derives from reported scalars: `last_metrics`, curves, and latest values."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from .store import Record

MOST_SERIES = 2000  # per task; further ones are kept as events but have no last_metrics
SINGLE_VALUE = -(2**31)  # the iteration under which the SDK reports a single value


def key(name: str) -> str:
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def update_last(last_metrics: Record, batch: Iterable[Record]) -> None:
    """Fold one batch of scalar events into the task's last_metrics, as the real server does, per batch."""
    series = sum(map(len, last_metrics.values()))
    for (metric, variant), events in _by_series(batch).items():
        known = last_metrics.get(key(metric), {}).get(key(variant))
        if known is None and series >= MOST_SERIES:
            continue
        series += known is None
        entry = last_metrics.setdefault(key(metric), {}).setdefault(key(variant), {})
        entry |= {"metric": metric, "variant": variant}
        _fold(entry, events)


def _by_series(batch: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    series: dict[tuple[str, str], list[Record]] = {}
    for event in batch:
        if event.get("value") is not None:
            series.setdefault((event["metric"], event["variant"]), []).append(event)
    return series


def _fold(entry: Record, events: list[Record]) -> None:
    last = max(events, key=lambda event: (event["iter"], event["timestamp"]))
    entry["value"] = last["value"]
    least, most = min(events, key=_value), max(events, key=_value)
    first = min(events, key=lambda event: int(event["iter"]))
    if "min_value" not in entry or least["value"] < entry["min_value"]:
        entry |= {"min_value": least["value"], "min_value_iteration": least["iter"]}
    if "max_value" not in entry or most["value"] > entry["max_value"]:
        entry |= {"max_value": most["value"], "max_value_iteration": most["iter"]}
    if "first_value" not in entry:
        entry |= {"first_value": first["value"], "first_value_iteration": first["iter"]}
    count, total = entry.get("count", 0), sum(map(_value, events))
    mean = (entry.get("mean_value", 0) * count + total) / (count + len(events))
    entry |= {"count": count + len(events), "mean_value": round(mean, 2)}  # the real one rounds to 2 places


def _value(event: Record) -> float:
    return float(event["value"])


def curve(events: list[Record], *, x_axis: str, samples: int) -> Record:
    """Points of one series, averaged per x, and over intervals if there are more than `samples`."""
    field = "iter" if x_axis == "iter" else "timestamp"
    points = sorted((event[field], event["value"]) for event in events if event.get("value") is not None)
    span = points[-1][0] - points[0][0] + 1
    width = 1 if len(points) < samples else -(-span // samples)
    groups: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        groups.setdefault((x - points[0][0]) // width, []).append((x, y))
    xs = [int(sum(x for x, _ in group) / len(group)) for group in groups.values()]
    ys = [single_precision(sum(y for _, y in group) / len(group)) for group in groups.values()]
    return {"name": events[0]["variant"], "x": xs, "y": ys}


def single_precision(value: float) -> float:
    """The event store keeps 32-bit floats."""
    return float(struct.unpack("f", struct.pack("f", value))[0])
