"""Agents of a queue, played by the test: each takes a task, and ends it with the value of its seed."""

from dataclasses import dataclass, field
from typing import Any

from sandbox.runtime.clearml_access import Client

DEFAULT_SEED = "1337"


@dataclass
class Agents:
    """The agents of one queue, each of which ends its task at its second look: with the value of the task's seed.

    They never end the tasks of the seeds that they `hold`; those that `fail`, fail. A script `records` its seed, or its
    `own_seed` if it has one. `together`: the most that ran.
    """

    client: Client
    queue: str
    workers: list[str]
    values: dict[str, float]
    hold: set[str] = field(default_factory=set)
    fail: set[str] = field(default_factory=set)
    own_seed: str = ""
    records: bool = True
    running: dict[str, str] = field(default_factory=dict)
    together: int = 0

    def look(self) -> None:
        for worker in self.workers:
            if worker in self.running:
                self._go_on(worker)
            elif entry := self.client.call("queues.get_next_task", queue=self.queue).get("entry"):
                self.client.call("tasks.started", task=entry["task"])
                self.running[worker] = entry["task"]
                self._report(worker)
        self.together = max(self.together, len(self.running))

    def _go_on(self, worker: str) -> None:
        task = self.running[worker]
        found = self.client.call("tasks.get_by_id", task=task)["task"]
        seed = seed_of(found)
        if found["status"] == "in_progress" and "stopping" not in (found.get("status_message") or ""):
            if seed in self.hold:
                return
            event = {"type": "log", "task": task, "worker": worker, "level": "info", "msg": "Starting Task Execution"}
            self.client.events([event])
            point = {"type": "training_stats_scalar", "task": task, "iter": 1, "value": self.values[seed]}
            self.client.events([{**point, "metric": "accuracy", "variant": "validation"}])
            if self.records:
                given = [{"section": "Args", "name": "seed", "value": self.own_seed or seed}]
                self.client.call("tasks.edit_hyper_params", task=task, hyperparams=given, force=True)
            self.client.call("tasks.failed" if seed in self.fail else "tasks.completed", task=task)
        else:
            self.client.call("tasks.stopped", task=task, force=True)
        del self.running[worker]
        self._report(worker)

    def _report(self, worker: str) -> None:
        task = {"task": self.running[worker]} if worker in self.running else {}
        self.client.call("workers.status_report", worker=worker, timestamp=1, queues=[self.queue], **task)


def of_queue(client: Client, queue: str, number: int = 1, **more: Any) -> Agents:
    """So many agents that listen to the queue of this id."""
    workers = [f"{queue}:{worker}" for worker in range(number)]
    for worker in workers:
        client.call("workers.register", worker=worker, queues=[queue])
    return Agents(client, queue, workers, **more)


def seed_of(task: dict[str, Any]) -> str:
    """The seed that the task has as its script's argument, or the default of the script."""
    return str(task["hyperparams"].get("Args", {}).get("seed", {}).get("value") or DEFAULT_SEED)
