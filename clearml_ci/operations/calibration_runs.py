"""Train one commit of the default branch with several seeds, side by side; what exists already is counted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clearml_ci.clearml_api import calibration_tasks, task_cancellation, task_metrics, task_records, worker_queues
from clearml_ci.clearml_api.calibration_tasks import Seeded
from clearml_ci.clearml_api.session import PATIENCE, ClearML, ClearMLError, TaskGoneError
from clearml_ci.clearml_api.task_launch import PACE
from clearml_ci.clearml_api.task_watch import Watch
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import gate as gates
from clearml_ci.core import poll, slices
from clearml_ci.core.errors import nearest
from clearml_ci.core.formatting import listed
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.poll import Clock
from clearml_ci.decisions import calibration_plan, launch_outcome

Report = Callable[[str], None]


_MOST_VALUES = 6  # of a training, in a line


class TrainingFailedError(ClearMLError):
    """A training failed, or reported no metric of a gate: the others would as well."""


@dataclass
class Calibration:
    """The trainings of a calibration, by their seeds: those that `count`, and those that are `live`.

    `drafts` are those that an interrupted launch has left, and `missing` the seeds that none was launched for.
    """

    clearml: ClearML
    seeded: Seeded
    queue: Queue
    gates: Sequence[Gate]
    clock: Clock
    report: Report
    counted: dict[str, str] = field(default_factory=dict)
    live: dict[str, str] = field(default_factory=dict)
    _drafts: dict[str, str] = field(default_factory=dict)
    _missing: list[str] = field(default_factory=list)
    _watches: dict[str, Watch] = field(default_factory=dict)
    _states: dict[str, str] = field(default_factory=dict)

    def train(self, seeds: Sequence[str]) -> list[str]:
        """The tasks of these seeds, once all of them count. Raises ClearMLError, TrainingFailedError if one failed.

        If it is called again, by whatever process, it goes on.
        """
        self._recall(seeds)
        for task in self.counted.values():
            self._values(task)
        if self.counted or self.live or self._drafts:
            going_on = len(self.live) + len(self._drafts)
            self.report(f"{len(self.counted)} of {len(seeds)} runs exist, and {going_on} are under way")
        look = poll.tolerant(
            self.clock,
            lambda: self._look(seeds),
            error=ClearMLError,
            patience=PATIENCE,
            final=(TaskGoneError, TrainingFailedError),
            report=self.report,
        )
        return poll.until(self.clock, look, pace=PACE)

    def _recall(self, seeds: Sequence[str]) -> None:
        """Learn what was launched for these seeds, by whatever process."""
        found = calibration_plan.plan(seeds, calibration_tasks.launched(self.clearml, self.seeded))
        self.counted = {seed: task.id for seed, task in found.counted.items()}
        self.live = {seed: task.id for seed, task in found.live.items()}
        self._drafts = {seed: task.id for seed, task in found.drafts.items()}
        self._missing = list(found.missing)
        self._watches = {seed: self._watches.get(seed) or self._watch(task) for seed, task in self.live.items()}

    def _look(self, seeds: Sequence[str]) -> list[str] | None:
        for seed in list(self.live):
            self._follow(seed, len(seeds))
        if self._drafts or self._missing:
            self._start(seeds)
        return [self.counted[seed] for seed in seeds] if len(self.counted) == len(seeds) else None

    def _start(self, seeds: Sequence[str]) -> None:
        """Start as many trainings as workers are free, but for those that another calibration has started meanwhile."""
        free = worker_queues.free_workers(self.clearml, self.queue, live=self.live.values())
        if free:
            self._recall(seeds)
        waiting = [*self._drafts, *self._missing]
        if not free and not self.live:
            self._log("queue", f"waiting for a free worker of the queue '{self.queue.name}'")
        for seed in waiting[:free]:
            if seed not in self._drafts:
                self._drafts[seed] = calibration_tasks.create(self.clearml, self.seeded, seed)
                self._missing.remove(seed)
            task = self._drafts[seed]
            calibration_tasks.enqueue(self.clearml, self.seeded, task, seed, queue=self.queue.id)
            self.live[seed] = self._drafts.pop(seed)
            self._watches[seed] = self._watch(task)
            self._log(seed, f"seed {seed}: started as task {task}")

    def _follow(self, seed: str, number: int) -> None:
        snapshot, _ = self._watches[seed].look()
        outcome = launch_outcome.outcome_of(self.seeded.launch, snapshot)
        task = self.live[seed]
        if outcome is None:
            self._log(seed, f"seed {seed}: {snapshot.status}{', its script runs' * snapshot.started}")
            return
        if outcome.outcome != Outcome.PASSED:
            self._end(task)
            del self.live[seed]
            raise TrainingFailedError(
                f"the training with seed {seed} failed: {outcome.reason} (task {task}); correct it, and calibrate "
                "again: what has ended is counted"
            )
        values = self._values(task)
        self.counted[seed] = self.live.pop(seed)
        self._log(seed, f"seed {seed}: {values} ({len(self.counted)} of {number} runs)")

    def _values(self, task: str) -> str:
        """The values of a training that has ended. Raises TrainingFailedError if it did not report a required one."""
        _, reported = task_records.with_metrics(self.clearml, [task], self.gates)[task]
        every = slices.expanded(self.gates, [reported])
        for gate in every:
            if reported[gate] is None and gate.required:
                names = task_metrics.series_names(self.clearml, task)
                known = slices.nearest_known(names) if gate.is_pattern else [f"{title}/{name}" for title, name in names]
                near = nearest(gate.name, known, what="it reported")
                raise TrainingFailedError(f"the task {task} reported no {gate.name}{near}")
        shown = [(gate, summary) for gate in every if (summary := reported[gate])]
        texts = [f"{gate.name} {gates.value_of(gate, summary):.6g}" for gate, summary in shown]
        return listed(texts, most=_MOST_VALUES, separator=", ")

    def _watch(self, task: str) -> Watch:
        return Watch(self.clearml, task, own_task="", run="", clock=self.clock)

    def _end(self, task: str) -> None:
        reason = "ClearML CI: the calibration gave it up"
        task_cancellation.end(self.clearml, task, run=self.seeded.key, archive=False, reason=reason, clock=self.clock)

    def _log(self, what: str, state: str) -> None:
        """Report a state that has changed."""
        if self._states.get(what) != state:
            self._states[what] = state
            self.report(state)
