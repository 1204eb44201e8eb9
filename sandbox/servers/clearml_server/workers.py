"""The `workers.*` endpoints: agents register, report what they run, and are listed."""

from __future__ import annotations

from . import errors, queue_records, task_records
from .registry import endpoint
from .store import COMPANY, USER, USER_NAME, Record, Store, now, seconds_since

_DEFAULT_TIMEOUT = 600  # seconds without a report


@endpoint("workers.register", version="2.4")
def register(store: Store, request: Record) -> Record:
    queues = request.get("queues") or []
    unknown = [queue for queue in queues if queue not in store.queues]
    if unknown:
        raise errors.invalid_queue(ids=unknown)
    store.workers[request["worker"]] = _worker(request, queues)
    return {}


def _worker(request: Record, queues: list[str]) -> Record:
    moment = now()
    return {
        "id": request["worker"],
        "key": f"worker_{COMPANY}_{USER}_{request['worker']}",
        "ip": "127.0.0.1",
        "company": {"id": COMPANY, "name": "clearml"},
        "user": {"id": USER, "name": USER_NAME},
        "register_time": moment,
        "last_activity_time": moment,
        "last_report_time": moment,
        "register_timeout": request.get("timeout") or _DEFAULT_TIMEOUT,
        "queues": queues,
        "tags": request.get("tags") or [],
        "system_tags": request.get("system_tags") or [],
        "task": None,
        "queue": None,
    }


@endpoint("workers.unregister", version="2.4")
def unregister(store: Store, request: Record) -> Record:
    store.workers.pop(request["worker"], None)
    return {}


@endpoint("workers.status_report", version="2.4")
def status_report(store: Store, request: Record) -> Record:
    """An unknown worker is registered by its report, as after a restart of the server."""
    worker = store.workers.setdefault(request["worker"], _worker(request, []))
    moment = now()
    worker.update(last_activity_time=moment, last_report_time=moment, queue=request.get("queue"), task=None)
    worker["queues"] = request.get("queues") or worker["queues"]
    if request.get("task"):
        task = task_records.get(store, request["task"])
        task.update(last_worker=request["worker"], last_worker_report=moment)
        task_records.touch(task)
        worker["task"] = {"id": task["id"], "name": task["name"]}
    return {}


@endpoint("workers.get_all", version="2.4")
def get_all(store: Store, request: Record) -> Record:
    last_seen = max(1, request.get("last_seen") or 3600)
    workers = queue_records.living_workers(store)
    seen = [worker for worker in workers if seconds_since(worker["last_activity_time"]) <= last_seen]
    return {"workers": [_shown(store, worker) for worker in seen]}


def _shown(store: Store, worker: Record) -> Record:
    """Without the fields that are empty, as the real server leaves them out."""
    shown = {key: value for key, value in worker.items() if value is not None}
    shown["queues"] = [_queue(store, queue) for queue in worker["queues"] if queue in store.queues]
    if worker["queue"] in store.queues:
        shown["queue"] = _queue(store, worker["queue"])
    if worker["task"] and worker["task"]["id"] in store.tasks:
        task = store.tasks[worker["task"]["id"]]
        running = (task.get("active_duration") or 0) * 1000
        shown["task"] = {**worker["task"], "running_time": running, "last_iteration": task["last_iteration"]}
    return shown


def _queue(store: Store, queue: str) -> Record:
    record = store.queues[queue]
    shown = {"id": queue, "name": record["name"], "num_tasks": len(record["entries"])}
    for entry in record["entries"][:1]:
        shown["next_task"] = {"id": entry["task"], "name": store.tasks[entry["task"]]["name"]}
    return shown
