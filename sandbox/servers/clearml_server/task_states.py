"""The task state machine: the allowed changes of status, and the fields that a change sets."""

from __future__ import annotations

from typing import Any

from . import errors, queue_records, task_records
from .store import USER, USER_NAME, Record, Store, now, seconds_since

_ALLOWED: dict[str, set[str]] = {
    "created": {"queued", "in_progress"},
    "queued": {"created", "in_progress", "stopped"},
    "in_progress": {"stopped", "failed", "created", "completed"},
    "stopped": {
        *("closed", "created", "failed", "queued", "in_progress", "published", "publishing", "completed"),
    },
    "closed": {"created", "failed", "published", "publishing", "stopped"},
    "failed": {"created", "stopped", "published", "queued"},
    "publishing": {"published"},
    "published": set(),
    "completed": {"published", "in_progress", "created"},
}
STATUSES = (*tuple(_ALLOWED), "unknown")
_WORKER_GONE_AFTER = 600.0  # seconds; apiserver.workers.task_update_timeout


def change(store: Store, task: Record, status: str, request: Record, **also: Any) -> Record:
    """Move the task to `status`, or refuse; `request` may carry status_reason, status_message and force."""
    current = task["status"]
    if not request.get("force") and status != current and status not in _ALLOWED[current]:
        raise errors.invalid_status("Invalid status change", current_status=current, new_status=status)
    moment = now()
    fields = {
        "status": status,
        "status_reason": request.get("status_reason") or "",
        "status_message": request.get("status_message") or "",
        "status_changed": moment,
        "last_update": moment,
        "last_change": moment,
        "last_changed_by": USER,
        **also,
    }
    task.update(fields)
    if status == "queued" and "development" in task["system_tags"]:
        task["system_tags"].remove("development")
    task_records.touch_project(store, task)
    return {"fields": fields, "updated": 1}


def start(store: Store, task: Record, request: Record) -> Record:
    """In progress; a task that is started once more keeps its first start and the moment of its last end."""
    first = {} if task.get("started") else {"started": now()}
    return change(store, task, "in_progress", request, **first)


def stop(store: Store, task: Record, request: Record) -> Record:
    """Stop a task immediately if no worker runs it; otherwise request it, and its worker ends the task."""
    if task["status"] != "queued" and "development" not in task["system_tags"] and _has_worker(task):
        return change(store, task, task["status"], {**request, "status_message": "stopping"})
    if task["status"] == "queued":
        queue_records.remove_everywhere(store, task["id"])
    return change(store, task, "stopped", {**request, "status_message": f"Stopped by {USER_NAME}"})


def _has_worker(task: Record) -> bool:
    return bool(task.get("last_worker")) and seconds_since(task["last_update"]) < _WORKER_GONE_AFTER


def enqueue(store: Store, task: Record, queue: str, request: Record) -> Record:
    if any(entry["task"] == task["id"] for entry in store.queues[queue]["entries"]):
        raise errors.bad_request(706, "Failed adding task to queue since task is already queued", task=task["id"])
    before = store.enqueued_from.get(task["id"]) if task["status"] == "queued" else task["status"]
    before = before or task["status"]
    answer = change(store, task, "queued", request)
    store.enqueued_from[task["id"]] = before
    queue_records.remove_everywhere(store, task["id"])
    queue_records.append(store, queue, task["id"])
    task["execution"]["queue"] = queue
    answer["fields"].update({"enqueue_status": before, "execution.queue": queue})
    return answer


def dequeue(store: Store, task: Record, request: Record, *, running_becomes: str | None = None) -> Record:
    """Out of its queue, back to what it was; a running task is moved as well."""
    queue_records.remove_everywhere(store, task["id"])
    if task["status"] not in ("queued", "in_progress"):
        return {"updated": 0}
    status = running_becomes if running_becomes and task["status"] == "in_progress" else None
    status = status or request.get("new_status") or store.enqueued_from.get(task["id"]) or "created"
    answer = change(store, task, status, {**request, "force": True})
    store.enqueued_from[task["id"]] = None
    answer["fields"]["enqueue_status"] = None
    return answer


def publish(store: Store, task: Record, request: Record) -> Record:
    if not request.get("force") and "published" not in _ALLOWED[task["status"]]:  # not even a second time
        raise errors.invalid_status("Invalid status change", current_status=task["status"], new_status="published")
    answer = change(store, task, "published", request, published=now())
    for output in task["models"]["output"][-1:]:
        if output["model"] in store.models:
            store.models[output["model"]]["ready"] = True
    answer["fields"]["output"] = task["output"]
    return answer


def reset(store: Store, task: Record, request: Record) -> Record:
    """Back to a draft, without any result of the run."""
    if task["status"] == "published" and not request.get("force"):
        raise errors.invalid_status(task_id=task["id"], status=task["status"])
    queue_records.remove_everywhere(store, task["id"])
    task.update(last_iteration=0, last_metrics={}, metric_stats={}, runtime={})
    for field in ("last_worker", "last_worker_report", "started", "completed", "published", "active_duration"):
        task.pop(field, None)
    task["models"]["output"] = []
    task["execution"]["artifacts"] = [a for a in task["execution"]["artifacts"] if a["mode"] == "input"]
    task["execution"].pop("queue", None)
    store.enqueued_from.pop(task["id"], None)
    why = {"force": request.get("force"), "status_reason": "reset", "status_message": "reset"}
    return change(store, task, "created", why)
