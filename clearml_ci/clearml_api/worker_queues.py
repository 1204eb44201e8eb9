"""Queues and the workers that serve them: which are served, whether a run would deadlock, how long tasks wait."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import configuration, paging, server_time, task_fields
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.workers import worker_records
from clearml_ci.core import agent_command
from clearml_ci.core.errors import UsageError, did_you_mean, listing
from clearml_ci.decisions import audit_findings


@dataclass(frozen=True)
class Queue:
    """A queue and the ids of the workers that serve it."""

    id: str
    name: str
    workers: frozenset[str]


def served(clearml: ClearML, names: Sequence[str], *, if_any: Iterable[str] = ()) -> dict[str, Queue]:
    """The queues of these names, and those of `if_any` that a worker serves.

    Raises UsageError if one of `names` does not exist, and ClearMLError if no worker serves it.
    """
    ids = {queue["name"]: queue["id"] for queue in paging.records(clearml, "queues", only_fields=["id", "name"])}
    workers = _workers_by_queue(clearml)
    for name in names:
        _require_served(name, existing=ids, with_workers=workers)
    found = [*names, *(name for name in if_any if name in ids and name in workers)]
    return {name: Queue(ids[name], name, frozenset(workers[name])) for name in found}


def id_of(clearml: ClearML, name: str) -> str:
    """The id of a queue. Raises ClearMLError if no queue has this name."""
    found = paging.records(clearml, "queues", only_fields=["id", "name"])
    queue = next((queue["id"] for queue in found if queue["name"] == name), "")
    if not queue:
        raise ClearMLError(f"no queue '{name}': it was deleted or renamed; create it again, and rerun")
    return str(queue)


def name_of(clearml: ClearML, task: str) -> str:
    """The name of the queue that a task was enqueued on; empty if it was on none, or if that is gone."""
    execution = task_fields.read(clearml, task, ["execution.queue"]).get("execution") or {}
    queue = task_fields.reference_id(execution.get("queue"))
    found = paging.records(clearml, "queues", only_fields=["id", "name"]) if queue else []
    return next((record["name"] for record in found if record["id"] == queue), "")


def served_ids(clearml: ClearML) -> frozenset[str]:
    """The ids of all queues that a worker serves."""
    workers = worker_records(clearml)
    return frozenset(str(queue["id"]) for worker in workers for queue in worker.get("queues", []))


def free_workers(clearml: ClearML, queue: Queue, *, live: Iterable[str] = ()) -> int:
    """The number of workers of a queue that run nothing, less the tasks that wait for one.

    `live` are tasks that were enqueued: an agent takes some time to report that it has one.
    """
    workers = worker_records(clearml)
    serving = [worker for worker in workers if queue.id in [served["id"] for served in worker.get("queues", [])]]
    runs = {worker["task"]["id"] for worker in serving if worker.get("task")}
    found: Mapping[str, Any] = next(paging.records(clearml, "queues", id=[queue.id], only_fields=["entries"]), {})
    waiting = {str(entry["task"]) for entry in found.get("entries") or []}
    return max(0, len(serving) - len(runs | waiting | {*live}))


def _workers_by_queue(clearml: ClearML) -> dict[str, list[str]]:
    """The ids of the workers that serve a queue, by the queue's name."""
    found: dict[str, list[str]] = {}
    for worker in worker_records(clearml):
        for queue in worker.get("queues", []):
            found.setdefault(queue.get("name"), []).append(worker["id"])
    return found


def _require_served(name: str, *, existing: Iterable[str], with_workers: Iterable[str]) -> None:
    served = {*existing} & {*with_workers}
    alive = listing(served, what="queues with workers")
    if name not in existing:
        raise UsageError(
            f"no queue '{name}': correct the name, or start agents for it with `ci_trigger.py agents`",
            log_only=f"{did_you_mean(name, served)}{alive}",
        )
    if name not in with_workers:
        raise ClearMLError(
            f"no worker listens to the queue '{name}': start one with: {agent_command.start(name)}", log_only=alive
        )


def refuse_deadlock(queues: Sequence[Queue]) -> None:
    """Refuse queues some of which have fewer workers than they are. Raises UsageError.

    A controller occupies its worker until its steps have ended, and a step until what it launched has.
    """
    for size in range(2, len(queues) + 1):
        for some in itertools.combinations(queues, size):
            workers = frozenset().union(*(queue.workers for queue in some))
            if len(workers) < size:
                raise UsageError(_deadlock(some, len(workers)))


def _deadlock(queues: Sequence[Queue], workers: int) -> str:
    names = " and ".join(f"'{queue.name}'" for queue in queues)
    number = "one worker alone serves" if workers == 1 else f"only {workers} workers serve"
    command = agent_command.start(queues[-1].name, number=len(queues[-1].workers) + 1)
    return (
        f"{number} the queues {names}: deadlock, because a task on one of them occupies its worker until a task on "
        f"another has ended; start another clearml-agent, one for each queue: {command}"
    )


def refuse_shared_workers(trusted: Iterable[Queue], *, code: Queue) -> None:
    """Refuse one agent for a trusted queue and pull-request code, whatever the queues' names. Raises UsageError."""
    for queue in trusted:
        if shared := sorted(queue.workers & code.workers):
            raise UsageError(
                f"the agent {shared[0]} serves '{queue.name}' and '{code.name}': pull-request code could read the "
                f"credentials of '{queue.name}'; start a separate agent for each of the two queues"
            )


def backlog(clearml: ClearML, names: Iterable[str]) -> list[audit_findings.Queue]:
    """The number of workers and of waiting tasks of the queues of these names, for the audit."""
    found = {queue["name"]: queue for queue in paging.records(clearml, "queues", only_fields=["name", "entries"])}
    workers = _workers_by_queue(clearml)
    return [_backlog(clearml, name, found.get(name), len(workers.get(name, ()))) for name in names]


def _backlog(clearml: ClearML, name: str, record: Mapping[str, Any] | None, workers: int) -> audit_findings.Queue:
    entries = (record or {}).get("entries") or []
    return audit_findings.Queue(
        name,
        f"{configuration.web_host()}/workers-and-queues/queues",
        exists=record is not None,
        workers=workers,
        entries=len(entries),
        waits=max((server_time.age(clearml, entry["added"]) for entry in entries), default=0.0),
    )
