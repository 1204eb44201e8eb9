"""The `tasks.*` endpoints of a run: its status, its queue, and what it reports about itself."""

from __future__ import annotations

from . import errors, queue_records, task_records, task_states
from .registry import endpoint
from .store import Record, Store, now


@endpoint("tasks.enqueue")
def enqueue(store: Store, request: Record) -> Record:
    task = task_records.get(store, request["task"])
    queue = queue_records.chosen(store, request)
    answer = task_states.enqueue(store, task, queue, request)
    if request.get("verify_watched_queue"):
        answer["queue_watched"] = queue_records.is_watched(store, queue)
    return {**answer, "queued": 1}


@endpoint("tasks.dequeue")
def dequeue(store: Store, request: Record) -> Record:
    return {"dequeued": 1, **task_states.dequeue(store, task_records.get(store, request["task"]), request)}


@endpoint("tasks.started")
def started(store: Store, request: Record) -> Record:
    if request["task"] not in store.tasks:
        raise errors.bad_request(10, "Invalid object id", task=None)
    return {**task_states.start(store, store.tasks[request["task"]], request), "started": 1}


@endpoint("tasks.stop")
def stop(store: Store, request: Record) -> Record:
    """With `include_pipeline_steps`, every child of a controller as well; older servers ignore that field."""
    task = task_records.get(store, request["task"])
    if request.get("include_pipeline_steps") and store.include_pipeline_steps and task["type"] == "controller":
        for step in task_records.children(store, task):
            task_states.stop(store, step, {**request, "force": True})
    return task_states.stop(store, task, request)


@endpoint("tasks.stopped")
def stopped(store: Store, request: Record) -> Record:
    return _ended(store, request, "stopped")


@endpoint("tasks.failed")
def failed(store: Store, request: Record) -> Record:
    """Unlike the other ends, this one leaves no `completed` time."""
    return task_states.change(store, task_records.get(store, request["task"]), "failed", request)


@endpoint("tasks.completed", version="2.2")
def completed(store: Store, request: Record) -> Record:
    answer = _ended(store, request, "completed")
    if not request.get("publish"):
        return {**answer, "published": 0}
    published = task_states.publish(store, store.tasks[request["task"]], request)
    answer["fields"]["status"] = published["fields"]["status"]
    return {**answer, "published": 1}


def _ended(store: Store, request: Record, status: str) -> Record:
    task = task_records.get(store, request["task"])
    return task_states.change(store, task, status, request, completed=now())


@endpoint("tasks.close")
def close(store: Store, request: Record) -> Record:
    return task_states.change(store, task_records.get(store, request["task"]), "closed", request)


@endpoint("tasks.publish")
def publish(store: Store, request: Record) -> Record:
    return task_states.publish(store, task_records.get(store, request["task"]), request)


@endpoint("tasks.ping")
def ping(store: Store, request: Record) -> Record:
    if request["task"] in store.tasks:
        task_records.touch_running(store.tasks[request["task"]])
    return {}


@endpoint("tasks.edit_runtime")
def edit_runtime(store: Store, request: Record) -> Record:
    task = task_records.get(store, request["task"])
    task["runtime"] = request["runtime"]
    task_records.touch(task)
    return {"updated": 1}


@endpoint("tasks.set_requirements")
def set_requirements(store: Store, request: Record) -> Record:
    task = task_records.get(store, request["task"])
    task["script"]["requirements"] = request["requirements"]
    task_records.touch(task)
    return {"fields": {}, "updated": 1}


@endpoint("tasks.add_or_update_artifacts", version="2.10")
def add_or_update_artifacts(store: Store, request: Record) -> Record:
    task = task_records.get_updatable(store, request)
    new = [task_records.stored_artifact(artifact) for artifact in request["artifacts"]]
    kept = _without(task["execution"]["artifacts"], new)
    task["execution"]["artifacts"] = [*kept, *new]
    task_records.touch(task)
    return {"updated": 1}


@endpoint("tasks.delete_artifacts", version="2.10")
def delete_artifacts(store: Store, request: Record) -> Record:
    task = task_records.get_updatable(store, request)
    gone = [task_records.stored_artifact(artifact) for artifact in request["artifacts"]]
    task["execution"]["artifacts"] = _without(task["execution"]["artifacts"], gone)
    task_records.touch(task)
    return {"deleted": 1}


def _without(artifacts: list[Record], gone: list[Record]) -> list[Record]:
    names = {(artifact["key"], artifact["mode"]) for artifact in gone}
    return [artifact for artifact in artifacts if (artifact["key"], artifact["mode"]) not in names]


@endpoint("tasks.add_or_update_model", version="2.13")
def add_or_update_model(store: Store, request: Record) -> Record:
    task = task_records.get_updatable(store, request, force=True)
    models = task["models"][request["type"]]
    models[:] = [model for model in models if model["name"] != request["name"]]
    models.append({"name": request["name"], "model": request["model"], "updated": now()})
    task["last_iteration"] = max(task["last_iteration"], request.get("iteration") or 0)
    task_records.touch_running(task)
    return {"updated": 1}
