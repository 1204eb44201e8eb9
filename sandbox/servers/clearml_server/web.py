"""Plain pages behind the links that the SDK, the agent and the comments write: a task, a pipeline run, an index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, abort, render_template

from . import metrics
from .store import Record, Store, TaskEvents

_WIDTH, _HEIGHT = 120, 24
_LONGEST_LOG = 2000  # events
_NEWEST = 200  # tasks of a project on the index


@dataclass(frozen=True)
class Scalar:
    """A row of the scalar table; `points` draws the curve in an SVG of _WIDTH by _HEIGHT."""

    title: str
    series: str
    last: float
    least: float
    most: float
    points: str


def create_app(store: Store) -> Flask:
    app = Flask(__name__)

    @app.get("/")
    def index() -> str:
        with store.lock:
            return render_template("index.html", projects=_projects(store))

    for kind in ("tasks", "experiments"):  # the SDK's word depends on the server's version
        for place in ("projects", "pipelines"):
            rule = f"/{place}/<project>/{kind}/<task>"
            app.add_url_rule(rule, view_func=_page(store, place), endpoint=f"{place}-{kind}")
            longer = f"{rule}/<path:tab>"
            app.add_url_rule(longer, view_func=_page(store, place), endpoint=f"{place}-{kind}-tab")
    return app


def _page(store: Store, place: str) -> Any:
    def page(project: str, task: str, tab: str = "") -> str:
        """The project is not checked, and every tab is the whole page."""
        del project, tab
        with store.lock:
            record = store.tasks.get(task) or abort(404, "No such task on this server.")
            children = _children(store, task) if place == "pipelines" or record["type"] == "controller" else []
            return render_template("task.html", **_shown(store, record), steps=children, place=place)

    return page


def _shown(store: Store, task: Record) -> dict[str, Any]:
    events = store.events[task["id"]]
    return {
        "task": task,
        "project": store.projects.get(task.get("project", ""), {}).get("name", ""),
        "parent": store.tasks.get(task.get("parent") or ""),
        "scalars": _scalars(task, events),
        "log": sorted(events.log, key=lambda event: int(event["timestamp"]))[-_LONGEST_LOG:],
        "width": _WIDTH,
        "height": _HEIGHT,
    }


def _children(store: Store, task: str) -> list[Record]:
    """A run's steps. Its reruns also have it as their parent, but are controllers themselves."""
    children = (child for child in store.tasks.values() if child.get("parent") == task)
    return [child for child in children if child["type"] != "controller"]


def _projects(store: Store) -> list[tuple[Record, list[Record]]]:
    by_project: dict[str, list[Record]] = {}
    for task in store.tasks.values():
        by_project.setdefault(task.get("project", ""), []).append(task)
    ordered = sorted(store.projects.values(), key=lambda project: str(project["name"]))
    return [(p, by_project[p["id"]][: -_NEWEST - 1 : -1]) for p in ordered if p["id"] in by_project]


def _scalars(task: Record, events: TaskEvents) -> list[Scalar]:
    entries = [entry for variants in task["last_metrics"].values() for entry in variants.values()]
    entries.sort(key=lambda entry: (entry["metric"], entry["variant"]))
    return [
        Scalar(
            *(entry["metric"], entry["variant"], entry["value"], entry["min_value"], entry["max_value"]),
            points=_points(events.scalars.get((entry["metric"], entry["variant"]), [])),
        )
        for entry in entries
    ]


def _points(events: list[Record]) -> str:
    if len(events) < 2:
        return ""
    curve = metrics.curve(events, x_axis="iter", samples=_WIDTH)
    xs, ys = _scaled(curve["x"], _WIDTH), _scaled(curve["y"], _HEIGHT)
    return " ".join(f"{x:.1f},{_HEIGHT - y:.1f}" for x, y in zip(xs, ys, strict=True))


def _scaled(values: list[float], size: int) -> list[float]:
    least, span = min(values), (max(values) - min(values)) or 1
    return [2 + (value - least) / span * (size - 4) for value in values]
