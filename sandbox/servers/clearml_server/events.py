"""The `events.*` endpoints: scalars, console, plots, images."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from . import errors, metrics, task_records
from .registry import endpoint
from .store import Record, Store, TaskEvents, new_id

_SCALAR = "training_stats_scalar"
_CLOSED = ("published", "publishing")
_MOST_TASKS = 100  # of one request for the curves of several tasks


@endpoint("events.add")
def add(store: Store, request: Record) -> Record:
    return add_batch(store, {"events": [request]})


@endpoint("events.add_batch")
def add_batch(store: Store, request: Record) -> Record:
    """Add events, which arrive as JSON lines; those of one task are folded into it together."""
    batches: dict[str, list[Record]] = {}
    refused = 0
    for event in request["events"]:
        task = store.tasks.get(event.get("task", ""))
        if task is None or (task["status"] in _CLOSED and not event.get("allow_locked")):
            refused += 1
        else:
            batches.setdefault(task["id"], []).append(_stored(event))
    for task_id, batch in batches.items():
        _add_to_task(store.tasks[task_id], store.events[task_id], batch)
    if refused and not batches:
        raise errors.bad_request(131, "Events not added", "", **{"Invalid task id": refused})
    added = sum(map(len, batches.values()))
    return {"added": added, "errors": refused, "errors_info": {"Invalid task id": refused} if refused else {}}


def _stored(event: Record) -> Record:
    moment = datetime.now(timezone.utc)
    return {
        "metric": "",
        "variant": "",
        "model_event": False,
        "timestamp": int(moment.timestamp() * 1000),
        **event,
        "@timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z",
    }


def _add_to_task(task: Record, events: TaskEvents, batch: list[Record]) -> None:
    for event in batch:
        _keep(events, event)
    scalars = [event for event in batch if event["type"] == _SCALAR]
    metrics.update_last(task["last_metrics"], scalars)
    task["last_iteration"] = max([task["last_iteration"], *(event.get("iter") or 0 for event in batch)])
    task["metric_stats"] = _stats(batch)
    task_records.touch_running(task)


def _keep(events: TaskEvents, event: Record) -> None:
    if event["type"] == _SCALAR:
        event.setdefault("iter", 0)
        events.scalars.setdefault((event["metric"], event["variant"]), []).append(event)
    elif event["type"] == "log":
        events.log.append(event)
    elif event["type"] == "plot":
        events.plots.append({**event, "plot_len": len(event.get("plot_str") or "")})
    else:
        events.images.append(event)


def _stats(batch: list[Record]) -> Record:
    """Of the last batch alone: the real server replaces the field with each."""
    stats: Record = {}
    for event in batch:
        entry = stats.setdefault(metrics.key(event["metric"]), {"metric": event["metric"]})
        by_type = entry.setdefault("event_stats_by_type", {})
        by_type[event["type"]] = {"last_update": event["timestamp"]}
    return stats


def _of(store: Store, request: Record) -> TaskEvents:
    if request.get("task") not in store.tasks:
        raise errors.invalid_task(ids=[request.get("task")])
    return store.events[request["task"]]


@endpoint("events.get_task_log", version="2.9")
def get_task_log(store: Store, request: Record) -> Record:
    """Newest first, unless the request orders otherwise; `from_timestamp` goes on from there."""
    log = sorted(_of(store, request).log, key=lambda event: int(event["timestamp"]))
    earlier = request.get("navigate_earlier", True)
    start = request.get("from_timestamp")
    if start is not None:
        log = [e for e in log if (e["timestamp"] < start if earlier else e["timestamp"] > start)]
    size = request.get("batch_size") or 500
    events = log[::-1][:size] if earlier else log[:size]
    if request.get("order") == ("asc" if earlier else "desc"):
        events = events[::-1]
    return {"events": events, "returned": len(events), "total": len(_of(store, request).log)}


def _curves(store: Store, request: Record) -> Iterator[tuple[str, str, list[Record]]]:
    filters = {m["metric"]: m.get("variants") for m in request.get("metrics") or []}
    for (metric, variant), events in sorted(_of(store, request).scalars.items()):
        if not filters or (metric in filters and (not filters[metric] or variant in filters[metric])):
            yield metric, variant, events


@endpoint("events.scalar_metrics_iter_histogram")
def scalar_metrics_iter_histogram(store: Store, request: Record) -> Record:
    answer: Record = {}
    for metric, variant, curve in _histograms(store, request):
        answer.setdefault(metric, {})[variant] = curve
    return answer


@endpoint("events.multi_task_scalar_metrics_iter_histogram")
def multi_task_scalar_metrics_iter_histogram(store: Store, request: Record) -> Record:
    """Refuse the whole request if one task is unknown; `name` is the task's."""
    tasks = request["tasks"]
    if not 1 <= len(tasks) <= _MOST_TASKS:
        raise errors.bad_request(12, "Validation error", f"tasks: between 1 and {_MOST_TASKS} tasks", tasks=len(tasks))
    unknown = [task for task in tasks if task not in store.tasks]
    if unknown:
        raise errors.invalid_task(ids=unknown)
    answer: Record = {}
    for task in tasks:
        for metric, variant, curve in _histograms(store, {**request, "task": task}):
            named = {**curve, "name": store.tasks[task]["name"]}
            answer.setdefault(metric, {}).setdefault(variant, {})[task] = named
    return {"metrics": answer}


def _histograms(store: Store, request: Record) -> Iterator[tuple[str, str, Record]]:
    """The curves of one task that a request asks for; a single value has none."""
    samples, x_axis = request.get("samples") or 2000, request.get("key") or "iter"
    for metric, variant, events in _curves(store, request):
        points = [event for event in events if event["iter"] != metrics.SINGLE_VALUE]
        if points:
            yield metric, variant, metrics.curve(points, x_axis=x_axis, samples=samples)


@endpoint("events.get_task_single_value_metrics")
def get_task_single_value_metrics(store: Store, request: Record) -> Record:
    """Of the tasks that have any."""
    found = [_single_values(store, task) for task in request["tasks"]]
    return {"tasks": [task for task in found if task["values"]]}


def _single_values(store: Store, task: str) -> Record:
    values = []
    for metric, variant, events in _curves(store, {"task": task}):
        for event in [e for e in events if e["iter"] == metrics.SINGLE_VALUE][-1:]:
            value = {"metric": metric, "variant": variant, "value": event["value"]}
            values.append({**value, "timestamp": event["timestamp"]})
    return {"task": task, "task_name": store.tasks[task]["name"], "values": values}


@endpoint("events.get_task_latest_scalar_values")
def get_task_latest_scalar_values(store: Store, request: Record) -> Record:
    """`name` and `status` are always null and created, as on the real server."""
    found: dict[str, list[Record]] = {}
    stamps = [0.0]
    for metric, variant, events in _curves(store, request):
        ordered = sorted(events, key=lambda event: (event["iter"], event["timestamp"]))
        last = metrics.single_precision(ordered[-1]["value"])
        shown = {"last_value": last, "last_10_value": last}  # the real one takes the first of its ten hits
        found.setdefault(metric, []).append({"name": variant, **shown})
        stamps.append(float(ordered[-1]["timestamp"]))
    last_iteration = store.tasks[request["task"]]["last_iteration"]
    shown_metrics = [{"name": name, "variants": variants} for name, variants in found.items()]
    return {"metrics": shown_metrics, "last_iter": last_iteration, "last_timestamp": max(stamps)} | {
        "name": None, "status": "created"
    }  # fmt: skip


@endpoint("events.get_scalar_metrics_and_variants")
def get_scalar_metrics_and_variants(store: Store, request: Record) -> Record:
    answer: dict[str, list[str]] = {}
    for metric, variant, _ in _curves(store, request):
        answer.setdefault(metric, []).append(variant)
    return {"metrics": answer}


@endpoint("events.get_task_metrics")
def get_task_metrics(store: Store, request: Record) -> Record:
    """The metrics of a task's scalars, or of the debug images that `event_type` names."""

    def names(task: str) -> list[str]:
        if request.get("event_type", _SCALAR) != _SCALAR:
            return sorted({event["metric"] for event in store.events[task].images})
        return sorted({metric for metric, _, _ in _curves(store, {"task": task})})

    return {"metrics": [{"task": task, "metrics": names(task)} for task in request["tasks"]]}


@endpoint("events.get_task_plots", version="1.8")
def get_task_plots(store: Store, request: Record) -> Record:
    """The newest plots of each metric and variant, `iters` iterations deep."""
    kept: dict[tuple[str, str], dict[int, Record]] = {}
    for plot in _of(store, request).plots:
        kept.setdefault((plot["metric"], plot["variant"]), {})[plot.get("iter") or 0] = plot
    iters = request.get("iters") or 1
    plots = [by_iter[i] for by_iter in kept.values() for i in sorted(by_iter, reverse=True)[:iters]]
    return {"plots": plots, "returned": len(plots), "total": len(plots), "scroll_id": None}


@endpoint("events.get_task_events")
def get_task_events(store: Store, request: Record) -> Record:
    """Return everything on the first page of a scroll; the second is empty."""
    kept = _of(store, request)
    scalars = [event for series in kept.scalars.values() for event in series]
    by_type = {_SCALAR: scalars, "log": kept.log, "plot": kept.plots}
    kind = request.get("event_type")
    events = by_type.get(kind, kept.images) if kind else [*scalars, *kept.log, *kept.plots, *kept.images]
    shown = [] if request.get("scroll_id") else events
    return {"events": shown, "returned": len(shown), "total": len(events), "scroll_id": "end"}


@endpoint("events.debug_images", version="2.7")
def debug_images(store: Store, request: Record) -> Record:
    """Return everything on the first page of a scroll; the second is empty."""
    first_page = not request.get("scroll_id")
    found = [
        {
            "task": filters["task"],
            "iterations": _images(store, filters, request.get("iters") or 1) if first_page else [],
        }
        for filters in request["metrics"]
    ]
    return {"metrics": found, "scroll_id": request.get("scroll_id") or new_id()}


def _images(store: Store, filters: Record, iters: int) -> list[Record]:
    by_iter: dict[int, list[Record]] = {}
    for event in _of(store, filters).images:
        variants = filters.get("variants") or [event["variant"]]
        if event["metric"] == (filters.get("metric") or event["metric"]) and event["variant"] in variants:
            by_iter.setdefault(event.get("iter") or 0, []).append(event)
    return [{"iter": i, "events": by_iter[i]} for i in sorted(by_iter, reverse=True)[:iters]]
