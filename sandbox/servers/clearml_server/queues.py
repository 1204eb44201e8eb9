"""The `queues.*` endpoints."""

from __future__ import annotations

from . import errors, queue_records, task_states
from .query import Fields, project_fields, select
from .registry import endpoint
from .store import COMPANY, Record, Store, now

FIELDS = Fields()


def _found(store: Store, request: Record) -> list[Record]:
    hidden_too = request.get("search_hidden") or request.get("id")
    queues = (q for q in store.queues.values() if hidden_too or "hidden" not in q["system_tags"])
    return select(queues, request, FIELDS)


@endpoint("queues.get_all", version="2.4")
def get_all(store: Store, request: Record) -> Record:
    return {"queues": [project_fields(queue, request.get("only_fields")) for queue in _found(store, request)]}


@endpoint("queues.get_all_ex", version="2.4")
def get_all_ex(store: Store, request: Record) -> Record:
    """With the names of the waiting tasks and the workers that listen; `only_fields` is ignored here."""
    return {"queues": [_extended(store, queue) for queue in _found(store, request)]}


def _extended(store: Store, queue: Record) -> Record:
    entries = [{"task": _named(store, e["task"]), "added": e["added"]} for e in queue["entries"]]
    workers = [w for w in queue_records.living_workers(store) if queue["id"] in w["queues"]]
    shown = [{"name": w["id"], "ip": w["ip"], "key": w["key"], "task": w["task"]} for w in workers]
    return {**queue, "company": {"id": COMPANY}, "metadata": {}, "entries": entries, "workers": shown}


def _named(store: Store, task: str) -> Record:
    return {"id": task, "name": store.tasks[task]["name"]}


@endpoint("queues.get_by_id", version="2.4")
def get_by_id(store: Store, request: Record) -> Record:
    return {"queue": queue_records.get(store, request["queue"])}


@endpoint("queues.get_default", version="2.4")
def get_default(store: Store, _request: Record) -> Record:
    queue = store.queues[queue_records.default(store)]
    return {"id": queue["id"], "name": queue["name"]}


@endpoint("queues.create", version="2.4")
def create(store: Store, request: Record) -> Record:
    tags, system_tags = request.get("tags") or [], request.get("system_tags") or []
    return {"id": queue_records.create(store, request["name"], tags=tags, system_tags=system_tags)["id"]}


@endpoint("queues.delete", version="2.4")
def delete(store: Store, request: Record) -> Record:
    queue = queue_records.get(store, request["queue"])
    if queue["entries"] and not request.get("force"):
        raise errors.bad_request(702, "Queue is not empty", "use force=true to delete", id=queue["id"])
    for entry in list(queue["entries"]):
        why = {"status_reason": f"Queue {queue['id']} was deleted"}
        task_states.dequeue(store, store.tasks[entry["task"]], why)
    del store.queues[queue["id"]]
    return {"deleted": 1}


@endpoint("queues.get_num_entries", version="2.4")
def get_num_entries(store: Store, request: Record) -> Record:
    return {"num": len(queue_records.get(store, request["queue"])["entries"])}


@endpoint("queues.get_next_task")
def get_next_task(store: Store, request: Record) -> Record:
    """Remove and return the first entry; the task stays `queued` until its worker reports that it started."""
    queue = queue_records.get(store, request["queue"])
    if not queue["entries"]:
        return {}
    queue["last_update"] = now()
    return {"entry": queue["entries"].pop(0)}


@endpoint("queues.add_task", version="2.4")
def add_task(store: Store, request: Record) -> Record:
    queue_records.append(store, request["queue"], request["task"])
    return {"added": 1}


@endpoint("queues.remove_task", version="2.4")
def remove_task(store: Store, request: Record) -> Record:
    queue_records.get(store, request["queue"])
    queue_records.remove_everywhere(store, request["task"])
    return {"removed": 1}


@endpoint("queues.move_task_to_front", version="2.4")
def move_task_to_front(store: Store, request: Record) -> Record:
    entries = queue_records.get(store, request["queue"])["entries"]
    entries.sort(key=lambda entry: entry["task"] != request["task"])
    return {"position": 0}
