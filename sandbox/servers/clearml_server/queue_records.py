"""Queue records and their entries, for the endpoints of queues, tasks and pipelines."""

from __future__ import annotations

from . import errors
from .store import COMPANY, Record, Store, new_id, now, seconds_since, unique_sorted
from .task_records import check_name


def get(store: Store, queue: str) -> Record:
    if queue not in store.queues:
        raise errors.invalid_queue(id=queue, company=COMPANY)
    return store.queues[queue]


def create(store: Store, name: str, *, tags: list[str], system_tags: list[str]) -> Record:
    check_name(name)
    if by_name(store, name):
        raise errors.bad_request(801, "Value combination already exists", name=name, company=COMPANY)
    moment = now()
    queue: Record = {
        "id": new_id(),
        "name": name,
        "company": COMPANY,
        "created": moment,
        "last_update": moment,
        "tags": unique_sorted(tags),
        "system_tags": unique_sorted(system_tags),
        "entries": [],
        "metadata": [],
    }
    store.queues[queue["id"]] = queue
    return queue


def by_name(store: Store, name: str) -> Record | None:
    return next((queue for queue in store.queues.values() if queue["name"] == name), None)


def chosen(store: Store, request: Record) -> str:
    """Return the queue that an enqueue names. An unknown *name* creates a queue: after a typo a task waits for ever."""
    if request.get("queue") and request.get("queue_name"):
        raise errors.invalid("Either queue id or queue name should be provided")
    if request.get("queue_name"):
        name = request["queue_name"]
        found = by_name(store, name) or create(store, name, tags=[], system_tags=[])
        return str(found["id"])
    if request.get("queue"):
        return str(get(store, request["queue"])["id"])
    return default(store)


def default(store: Store) -> str:
    for queue in store.queues.values():
        if "default" in queue["system_tags"]:
            return str(queue["id"])
    raise errors.bad_request(707, "No queue is tagged as the default queue for this company")


def append(store: Store, queue: str, task: str) -> None:
    record = get(store, queue)
    record["entries"].append({"task": task, "added": now()})
    record["last_update"] = now()


def remove_everywhere(store: Store, task: str) -> None:
    for queue in store.queues.values():
        if any(entry["task"] == task for entry in queue["entries"]):
            queue["entries"] = [entry for entry in queue["entries"] if entry["task"] != task]
            queue["last_update"] = now()


def living_workers(store: Store) -> list[Record]:
    """A worker that does not report for its `register_timeout` (600 s) is forgotten."""
    return [w for w in store.workers.values() if seconds_since(w["last_activity_time"]) < w["register_timeout"]]


def is_watched(store: Store, queue: str) -> bool:
    return any(queue in worker["queues"] for worker in living_workers(store))
