"""The `tasks.*_many` endpoints, to which the web UI sends every change of a task, also of a single one.

They answer 200 whatever happens: what was refused is under `failed`, with the error that the single call gives.
"""

from __future__ import annotations

from collections.abc import Callable

from . import errors, queue_records, task_records, task_runs, task_states, tasks
from .registry import endpoint
from .store import Record, Store

Change = Callable[[Store, str, Record], Record]


def of_each(store: Store, request: Record, change: Change) -> Record:
    """Change each task on its own: what succeeded and what failed."""
    answers = [_changed(store, task, request, change) for task in request["ids"]]
    return {
        "succeeded": [answer for answer in answers if "error" not in answer],
        "failed": [answer for answer in answers if "error" in answer],
    }


def _changed(store: Store, task: str, request: Record, change: Change) -> Record:
    try:
        return {"id": task, **change(store, task, request)}
    except errors.ApiError as error:
        codes = [error.status, error.subcode]
        return {"id": task, "error": {"codes": codes, "msg": error.message, "data": {}}}


@endpoint("tasks.stop_many")
def stop_many(store: Store, request: Record) -> Record:
    return of_each(store, request, lambda s, task, r: task_runs.stop(s, {**r, "task": task}))


@endpoint("tasks.enqueue_many")
def enqueue_many(store: Store, request: Record) -> Record:
    queue = queue_records.chosen(store, request)

    def change(store: Store, task: str, request: Record) -> Record:
        answer = task_states.enqueue(store, task_records.get(store, task), queue, request)
        return {**answer, "queued": True}

    answer = of_each(store, request, change)
    if request.get("verify_watched_queue") and answer["succeeded"]:
        answer["queue_watched"] = queue_records.is_watched(store, queue)
    return answer


@endpoint("tasks.dequeue_many")
def dequeue_many(store: Store, request: Record) -> Record:
    def change(store: Store, task: str, request: Record) -> Record:
        return {**task_states.dequeue(store, task_records.get(store, task), request), "dequeued": True}

    return of_each(store, request, change)


@endpoint("tasks.publish_many")
def publish_many(store: Store, request: Record) -> Record:
    return of_each(store, request, lambda s, task, r: task_states.publish(s, task_records.get(s, task), r))


@endpoint("tasks.reset_many")
def reset_many(store: Store, request: Record) -> Record:
    """Like the single call it leaves the steps of a controller as they are."""

    def change(store: Store, task_id: str, request: Record) -> Record:
        task = task_records.get(store, task_id)
        dequeued, urls = task["status"] == "queued", _artifact_urls(task)
        answer = {**tasks.reset_one(store, task_id, request), "deleted_models": 0, "dequeued": dequeued}
        if request.get("return_file_urls"):
            answer["urls"] = {"model_urls": [], "artifact_urls": urls, "event_urls": []}
        return answer

    return of_each(store, request, change)


def _artifact_urls(task: Record) -> list[str]:
    return [a["uri"] for a in task["execution"]["artifacts"] if a["mode"] == "output" and a.get("uri")]


@endpoint("tasks.archive_many")
def archive_many(store: Store, request: Record) -> Record:
    return of_each(store, request, tasks.archive_one)


@endpoint("tasks.unarchive_many")
def unarchive_many(store: Store, request: Record) -> Record:
    return of_each(store, request, tasks.unarchive_one)


@endpoint("tasks.delete_many")
def delete_many(store: Store, request: Record) -> Record:
    return of_each(store, request, deleted)


def deleted(store: Store, task: str, request: Record) -> Record:
    """Remove a task, and return its entry in the answer of a batch."""
    orphans = tasks.delete_one(store, task, request)
    return {"deleted": True, "updated_children": orphans, "updated_models": 0, "deleted_models": 0, "urls": None}
