"""The `pipelines.*` endpoints: what the web UI's New run sends."""

from __future__ import annotations

import re
from copy import deepcopy

from . import errors, parameter_keys, queue_records, task_batches, task_records, task_states
from .registry import endpoint
from .store import Record, Store


@endpoint("pipelines.start_pipeline")
def start_pipeline(store: Store, request: Record) -> Record:
    """Clone, override Args only (every value becomes a string), rename to `NAME #k`, enqueue."""
    source = store.tasks.get(request["task"])
    if not source:
        raise errors.invalid_task(id=request["task"])
    run = task_records.clone(store, source, changes={})
    if request.get("args"):
        run["hyperparams"] = _overridden(store, source, run, request)
    run["name"] = _run_name(store, run)
    queue = queue_records.chosen(store, {"queue": request.get("queue")})
    task_states.enqueue(store, run, queue, {"status_message": "Starting pipeline"})
    answer = {"pipeline": run["id"], "enqueued": True}
    if request.get("verify_watched_queue"):
        answer["queue_watched"] = queue_records.is_watched(store, queue)
    return answer


def _overridden(store: Store, source: Record, run: Record, request: Record) -> Record:
    unlike = [arg["name"] for arg in request["args"] if not isinstance(arg.get("value"), str)]
    if unlike:
        raise errors.invalid("value is no string", args=unlike)
    sections: Record = deepcopy(source["hyperparams"])
    changes = {arg["name"]: {"section": "Args", "name": arg["name"], "value": arg["value"]} for arg in request["args"]}
    sections["Args"] = parameter_keys.cloned_with(store, source["id"], run["id"], sections.get("Args", {}), changes)
    return sections


def _run_name(store: Store, run: Record) -> str:
    project = store.projects.get(run.get("project", ""))
    if not project:
        return str(run["name"])
    name = project["name"].rpartition("/")[2]
    runs = re.compile(rf"{re.escape(name)}( #\d+)?$")
    earlier = [
        task
        for task in store.tasks.values()
        if task.get("project") == project["id"] and "pipeline" in task["system_tags"] and runs.search(task["name"])
    ]
    return f"{name} #{len(earlier)}" if earlier else name


@endpoint("pipelines.delete_runs")
def delete_runs(store: Store, request: Record) -> Record:
    """Delete controllers, always with all their children; one has to be left."""
    runs = {t["id"] for t in store.tasks.values() if t.get("project") == request["project"]}
    runs = {run for run in runs if store.tasks[run]["type"] == "controller"}
    if runs <= set(request["ids"]):
        raise errors.bad_request(160, "At least one pipeline run should be left", project=request["project"])
    ids = [run for run in request["ids"] if run in runs]
    return task_batches.of_each(
        store, {"ids": ids, "force": True, "include_pipeline_steps": True}, task_batches.deleted
    )
