"""Train one commit with several seeds, side by side on the workers that are free, and leave nothing running."""

import contextlib
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clearml_ci.clearml_api import (
    launch_draft,
    seeded_draft,
    server_time,
    task_fields,
    task_launch,
    task_queue,
    task_status,
    worker_queues,
)
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.seeded_draft import SEED_MARK, Seeding
from clearml_ci.clearml_api.session import PATIENCE, ClearML, ClearMLError, TaskGoneError
from clearml_ci.clearml_api.task_status import ENDED, LIVE
from clearml_ci.clearml_api.task_watch import Watch
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import poll
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock
from clearml_ci.decisions import launch_outcome
from clearml_ci.decisions.launch_outcome import LaunchOutcome, TaskSnapshot
from clearml_ci.parameters.remote_run import RemoteRun

_TIMES = ["status", "started", "completed", "status_changed"]


class EndedRunError(ClearMLError):
    """The run was ended while its trainings ran."""


@dataclass(frozen=True)
class Training:
    """A training that has ended by itself, or at one of its limits, and the last look at it."""

    seed: str
    task: str
    outcome: LaunchOutcome
    snapshot: TaskSnapshot


@dataclass
class Trainings:
    """The trainings of a commit, or of several, by one step: `own_task` is the step's task, empty if no agent runs it.

    Each is launched as `launch` and `code` describe it, and gets its seed as `seeding` describes. `hours`: so long they
    may occupy agents, together. The step that is executed again goes on with those that it has launched. `of_seed` has
    the code and the seeding of seeds that train another commit.
    """

    clearml: ClearML
    launch: RemoteRun
    code: Code
    seeding: Seeding
    queue: Queue
    run: str
    own_task: str
    clock: Clock
    report: Callable[[str], None]
    hours: float = math.inf
    of_seed: Mapping[str, tuple[Code, Seeding]] = field(default_factory=dict)
    over_budget: bool = False
    _tasks: dict[str, str] = field(default_factory=dict)  # by seed
    _watches: dict[str, Watch] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)

    def each(self, seeds: Sequence[str]) -> Generator[Training, None, None]:
        """Train with these seeds, and yield each training when it has ended; close this to stop the others.

        Raises EndedRunError if the run was ended, and ClearMLError for faults of the server.
        """
        with task_launch.cleaning_up_before_an_abort(self.clearml, self.own_task):
            try:
                waiting = list(seeds)
                while waiting or self._watches:
                    ended = self._next(waiting)
                    if ended is None:  # the budget is used up
                        return
                    yield ended
            finally:
                self._stop()

    def _next(self, waiting: list[str]) -> Training | None:
        """The next training that ends; None if the budget is used up. Takes those that it starts from `waiting`."""
        settled = [False]  # False: workers may have become free, or a request was lost

        def look() -> tuple[Training | None] | None:
            if self._is_over_budget():
                return (None,)
            if waiting and not settled[0]:
                self._start(waiting)
                settled[0] = True
            ended = next(filter(None, map(self._ended, list(self._watches))), None)
            return (ended,) if ended else None

        patient = poll.tolerant(
            self.clock,
            look,
            error=ClearMLError,
            patience=PATIENCE,
            final=(TaskGoneError, EndedRunError),
            report=self.report,
        )
        (ended,) = poll.until(self.clock, patient, pace=task_launch.PACE)
        return ended

    def _start(self, waiting: list[str]) -> None:
        """Start as many trainings as workers are free, and at least one if none runs."""
        self._recall()
        for seed in [seed for seed in waiting if seed in self._tasks]:
            self._begin(waiting, seed)
        live = [self._tasks[seed] for seed in self._watches]
        free = worker_queues.free_workers(self.clearml, self.queue, live=live)
        for seed in waiting[: max(free, not live)]:
            self._begin(waiting, seed)

    def _begin(self, waiting: list[str], seed: str) -> None:
        code, seeding = self.of_seed.get(seed, (self.code, self.seeding))
        task = self._tasks.get(seed) or launch_draft.create(
            self.clearml, self.launch, code, run=self.run, step=self.own_task, marks={SEED_MARK: seed}
        )
        self._tasks[seed] = task
        self._watches[seed] = self._watch(task)
        if task_status.read(self.clearml, task) == "created":
            seeded_draft.put_in(self.clearml, task, seeding, seed)
            task_queue.enqueue(self.clearml, task, queue=self.queue.id)
        waiting.remove(seed)

    def _recall(self) -> None:
        """Learn the tasks that this step has launched before, for whatever seed."""
        if self.own_task:
            made = launch_draft.made_by(self.clearml, self.launch, run=self.run, step=self.own_task)
            self._tasks |= {seed: task for task, seed in seeded_draft.seeds(self.clearml, made).items()}

    def _watch(self, task: str) -> Watch:
        return Watch(self.clearml, task, own_task=self.own_task, run=self.run, clock=self.clock)

    def _ended(self, seed: str) -> Training | None:
        """The training of this seed if it has ended, or exceeded a limit. Raises EndedRunError."""
        snapshot, aborted = self._watches[seed].look()
        if aborted:
            raise EndedRunError(f"the check was ended while it trained with other seeds: {aborted}")
        outcome = launch_outcome.outcome_of(self.launch, snapshot)
        if outcome is None:
            state = f"{self.launch.name}, seed {seed}: {task_launch.described(snapshot)}"
            if self._states.get(seed) != state:
                self._states[seed] = state
                self.report(state)
            return None
        if outcome.outcome != Outcome.PASSED:
            self._end(seed)
        del self._watches[seed]
        self.report(f"{self.launch.name}, seed {seed}: {outcome.reason}")
        return Training(seed, self._tasks[seed], outcome, snapshot)

    def _is_over_budget(self) -> bool:
        if math.isinf(self.hours) or not self._tasks:
            return False
        found = task_fields.read_existing(self.clearml, list(self._tasks.values()), _TIMES)
        self.over_budget = sum(self._occupied(task) for task in found.values()) >= 3600 * self.hours
        return self.over_budget

    def _occupied(self, task: Mapping[str, Any]) -> float:
        """The seconds for which an agent has had a task."""
        began = server_time.age(self.clearml, str(task.get("started") or ""))
        if task["status"] not in ENDED:
            return began
        return max(0.0, began - server_time.age(self.clearml, str(task.get("completed") or task.get("status_changed"))))

    def _stop(self) -> None:
        """Stop and archive all that runs: first all requests, then the waits for their agents."""
        for seed in self._watches:
            with contextlib.suppress(ClearMLError):  # it is requested once more, patiently
                if task_status.read(self.clearml, self._tasks[seed]) in LIVE:
                    self.clearml.call("tasks.stop", task=self._tasks[seed], status_reason=self._over)
        for seed in list(self._watches):
            with contextlib.suppress(TaskGoneError):
                self._end(seed)
            del self._watches[seed]

    def _end(self, seed: str) -> None:
        """End the training, and archive it unless it has succeeded, or failed: then people look at its console."""
        task = self._tasks[seed]
        archive = task_status.read(self.clearml, task) in ("created", *LIVE)
        task_launch.end_patiently(
            self.clearml, task, run=self.run, archive=archive, reason=self._over, clock=self.clock
        )

    @property
    def _over(self) -> str:
        return f"ClearML CI: no more trainings are needed for run {self.run}"


def stop_leftovers(clearml: ClearML, launch: RemoteRun, *, run: str, step: str) -> None:
    """Stop what an interrupted execution of a step has left running; `step` is its task, empty if no agent runs it."""
    if not step or not task_launch.has_launched(clearml, step):
        return
    made = launch_draft.made_by(clearml, launch, run=run, step=step)
    reason = f"ClearML CI: no more trainings are needed for run {run}"
    for task in seeded_draft.seeds(clearml, made):
        if task_status.read(clearml, task) in ("created", *LIVE):
            task_launch.end_patiently(clearml, task, run=run, archive=True, reason=reason, clock=clearml.clock)
