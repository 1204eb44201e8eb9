"""The queues that a run needs, and the workers that serve them. A part of the ClearML gateway."""

import itertools
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.errors import UsageError

WATCHED_WITHIN = 90  # seconds: a queue is watched when a worker was seen on it within this time


@dataclass(frozen=True)
class Queue:
    """A queue and the ids of the workers that were seen on it lately."""

    id: str
    name: str
    workers: frozenset[str]


def watched_queues(clearml: ClearML, names: Sequence[str], *, if_any: Iterable[str] = ()) -> dict[str, Queue]:
    """The queues of these names. Raises UsageError where one does not exist, ClearMLError where nobody watches it.

    Those of `if_any` are among them where somebody watches them.
    """
    known = {queue["name"]: queue["id"] for queue in clearml_session.ids_and_names(clearml, "queues")}
    watching: dict[str, set[str]] = {}
    for worker in clearml.call("workers.get_all", last_seen=WATCHED_WITHIN).get("workers", []):
        for queue in worker.get("queues", []):
            watching.setdefault(queue.get("name"), set()).add(worker["id"])
    alive = f"queues with workers: {', '.join(sorted(name for name in known if name in watching)) or 'none'}"
    for name in names:
        if name not in known:
            raise UsageError(f"no queue '{name}'; {alive}")
        if name not in watching:
            start = f"clearml-agent daemon --detached --queue {shlex.quote(name)}"
            raise ClearMLError(f"no worker listens to the queue '{name}'; {alive}. Start one with: {start}")
    found = [*names, *(name for name in if_any if name in known and name in watching)]
    return {name: Queue(known[name], name, frozenset(watching[name])) for name in found}


def refuse_deadlock(queues: Sequence[Queue]) -> None:
    """A controller occupies its worker until its steps have ended, and a step until what it launched has.

    Raises UsageError where fewer workers than queues serve some of them: one would wait for itself for ever.
    """
    for size in range(2, len(queues) + 1):
        for some in itertools.combinations(queues, size):
            workers = frozenset().union(*(queue.workers for queue in some))
            if len(workers) < size:
                names = " and ".join(f"'{queue.name}'" for queue in some)
                served = "one worker alone serves" if len(workers) == 1 else f"only {len(workers)} workers serve"
                raise UsageError(
                    f"{served} the queues {names}: a run would wait for itself for ever; start another clearml-agent, "
                    f"one a queue: clearml-agent daemon --detached --queue {shlex.quote(some[-1].name)}"
                )


def refuse_shared_workers(*, steps: Queue, code: Queue) -> None:
    """Raises UsageError where one agent serves the trusted steps and pull-request code, under whatever names."""
    both = sorted(steps.workers & code.workers)
    if both:
        raise UsageError(
            f"the agent {both[0]} serves '{steps.name}' and '{code.name}': pull-request code could read the "
            "credentials of the trusted steps; start an agent of its own for each"
        )
