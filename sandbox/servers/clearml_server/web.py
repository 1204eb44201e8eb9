"""Pages behind the links that the SDK, the agent and the comments write: a pipeline's runs, a run, a task, New run.

They show what ClearML's web UI shows, in its words and its order, without a script.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Flask, abort, redirect, render_template, request

from . import errors, events, metrics, pipelines, plots, queue_records, run_graph, tasks
from .store import USER_NAME, Record, Store, TaskEvents

_WIDTH, _HEIGHT = 120, 24
_LONGEST_LOG = 2000  # events
_NEWEST = 200  # tasks of a project on the index, and runs of a list
STATUS_WORDS = {
    "created": "Draft",
    "queued": "Pending",
    "in_progress": "Running",
    "stopped": "Aborted",
    "completed": "Completed",
    "failed": "Failed",
    "published": "Published",
}
_RUNS: Record = {"type": ["controller"], "order_by": ["-last_update"], "search_hidden": True, "page_size": _NEWEST}


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
    app.jinja_env.globals.update(status_words=STATUS_WORDS, user_name=USER_NAME, chart=plots)

    @app.get("/")
    def index() -> str:
        with store.lock:
            return render_template("index.html", projects=_projects(store))

    for kind in ("tasks", "experiments"):  # the SDK's word depends on the server's version
        runs = f"/pipelines/<project>/{kind}"
        app.add_url_rule(runs, view_func=_runs_page(store), endpoint=f"runs-{kind}")
        for place in ("projects", "pipelines"):
            rule = f"/{place}/<project>/{kind}/<task>"
            app.add_url_rule(rule, view_func=_page(store, place), endpoint=f"{place}-{kind}")
            longer = f"{rule}/<path:tab>"
            app.add_url_rule(longer, view_func=_page(store, place), endpoint=f"{place}-{kind}-tab")
    app.add_url_rule("/pipelines/<project>/run", view_func=_new_run_form(store), endpoint="new-run")
    app.add_url_rule("/pipelines/<project>/run", view_func=_new_run(store), endpoint="start-run", methods=["POST"])
    return app


def _runs_page(store: Store) -> Callable[[str], str]:
    def page(project: str) -> str:
        """The runs of a pipeline; `?tag=` keeps those with a tag, `?archived=1` shows the archive."""
        tag, archived = request.args.get("tag", ""), bool(request.args.get("archived"))
        with store.lock:
            record = store.projects.get(project) or abort(404, "No such project on this server.")
            filters = {"filters": {"tags": {"any": {"include": [tag]}}}} if tag else {}
            chosen = ["__$and", "archived"] if archived else ["__$not", "archived"]
            query = {**_RUNS, "project": [project], "system_tags": chosen, **filters}
            runs = tasks.get_all(store, query)["tasks"]
            return render_template("runs.html", project=record, runs=runs, tag=tag, archived=archived)

    return page


def _page(store: Store, place: str) -> Any:
    def page(project: str, task: str, tab: str = "") -> str:
        """The project is not checked, and every tab is the whole page."""
        del project, tab
        with store.lock:
            record = store.tasks.get(task) or abort(404, "No such task on this server.")
            is_run = place == "pipelines" or record["type"] == "controller"
            graph = run_graph.columns(store, record) if is_run else []
            steps = _children(store, task) if is_run else []
            return render_template("task.html", **_shown(store, record), graph=graph, steps=steps, place=place)

    return page


def _new_run_form(store: Store) -> Callable[[str], str]:
    def page(project: str) -> str:
        """The dialog of NEW RUN, for the run that `?task=` names or the one that was started last."""
        with store.lock:
            run = _base(store, project, request.args.get("task", ""))
            items = [item for item in run["hyperparams"].get("Args", {}).values() if not item["name"].startswith("_")]
            return render_template(
                "new_run.html",
                project=store.projects[project],
                run=run,
                items=items,
                queues=list(store.queues.values()),
                token=_form_token(store),
            )

    return page


def _new_run(store: Store) -> Callable[[str], Any]:
    def start(project: str) -> Any:
        """Start the run as the web UI does, and show it."""
        if not hmac.compare_digest(request.form.get("token", ""), _form_token(store)):
            abort(403, "This form is not of this server: open it again.")
        names = [name.removeprefix("arg ") for name in request.form if name.startswith("arg ")]
        args = [{"name": name, "value": request.form[f"arg {name}"]} for name in names]
        query = {"task": request.form["task"], "queue": request.form["queue"], "args": args}
        try:
            with store.lock:
                run = pipelines.start_pipeline(store, query)["pipeline"]
        except errors.ApiError as error:
            abort(error.status, error.message)
        return redirect(f"/pipelines/{project}/tasks/{run}")

    return start


def _base(store: Store, project: str, task: str) -> Record:
    """The run whose values the dialog shows."""
    if project not in store.projects:
        abort(404, "No such project on this server.")
    query: Record = {"project": [project], "type": ["controller"], "order_by": ["-started"], "page_size": 1}
    found = tasks.get_all(store, {**query, "search_hidden": True, **({"id": [task]} if task else {})})["tasks"]
    return dict(found[0]) if found else abort(404, "This pipeline has no run.")


def _form_token(store: Store) -> str:
    """A text that other sites do not know, so that they cannot send the form."""
    return hmac.new(store.signing_key.encode(), b"new run", "sha256").hexdigest()


def _shown(store: Store, task: Record) -> dict[str, Any]:
    kept = store.events[task["id"]]
    return {
        "task": task,
        "project": store.projects.get(task.get("project", ""), {}),
        "parent": store.tasks.get(task.get("parent") or ""),
        "queue": store.queues.get(task["execution"].get("queue") or "", {}).get("name", ""),
        "is_watched": queue_records.is_watched(store, task["execution"].get("queue") or ""),
        "scalars": _scalars(task, kept),
        "plots": plots.shown(events.get_task_plots(store, {"task": task["id"], "iters": 1})["plots"]),
        "log": sorted(kept.log, key=lambda event: int(event["timestamp"]))[-_LONGEST_LOG:],
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
    entries.sort(key=lambda entry: (entry["metric"].lower(), entry["variant"]))
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
