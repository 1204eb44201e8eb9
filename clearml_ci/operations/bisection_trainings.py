"""Train the merges with which a metric may have drifted, side by side, until one is named."""

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from clearml_ci.clearml_api import task_inputs, task_records
from clearml_ci.clearml_api.launch_draft import Code
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.seeded_draft import Seeding
from clearml_ci.clearml_api.seeded_launch import Trainings
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import console, recorded_task
from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import bisection, main_drift, samples
from clearml_ci.decisions.audit_findings import FINDING, Finding
from clearml_ci.decisions.main_drift import Drift
from clearml_ci.github_api.session import GitHub
from clearml_ci.operations import pull_request_code, remote_launch, seed_parameter, seeded_trainings
from clearml_ci.operations.main_models import Model
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.remote_run import RemoteRun


@dataclass
class Bisection:
    """The trainings of one drift. `tasks` are those that succeeded; `notes` name those that did not."""

    services: Services
    run: Run
    audit: Audit
    launch: RemoteRun
    github: GitHub | None
    model: Model
    drift: Drift
    tasks: list[TaskDocument] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _values: dict[int, list[float]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def finding(self) -> Finding:
        """Train round by round, and name the merge. Raises ClearMLError, GitHubError and UsageError."""
        merges = [self.drift.before.merge, *(merged.merge for merged in self.drift.merges)]
        cause = None
        while todo := bisection.places(cause, len(merges) - 1, self._values):
            for place, value in self._trained({place: merges[place] for place in todo}):
                self._values[place].append(value)
            cause = bisection.find(self.drift.gate, self._values, self.drift)
            if cause is None:
                break
        return bisection.finding(self.drift, cause, self.audit.bisect, self.model.subject)

    def _trained(self, merges: dict[int, Merge]) -> Iterator[tuple[int, float]]:
        """The places of these merges, each with the value of each training that succeeded."""
        number = self.audit.bisect
        known = {samples.seed_of(run) for merged in self.model.merged for run in merged.runs} | self._used
        seeds = samples.new_seeds(known, number * len(merges))
        self._used |= {*seeds}
        places = dict(zip(seeds, (place for place in merges for _ in range(number)), strict=True))
        self._values |= {place: [] for place in merges}
        prepared = self._prepared(merges)
        trainings = Trainings(
            self.services.clearml,
            self.launch,
            *next(iter(prepared.values())),
            self._queue(),
            self.run.id,
            self.services.own_task,
            self.services.clock,
            console.log,
            of_seed={seed: prepared[place] for seed, place in places.items()},
        )
        with contextlib.closing(trainings.each(seeds)) as ends:
            for ended in ends:
                merge = merges[places[ended.seed]]
                if ended.outcome.outcome != Outcome.PASSED:
                    self.notes.append(
                        f"{merge} could not be trained with the seed {ended.seed}: {ended.outcome.reason}"
                    )
                    continue
                value = self._value(ended.task)
                if math.isfinite(value):
                    yield places[ended.seed], value
                else:
                    self.notes.append(
                        f"{merge}, trained with the seed {ended.seed}, reported no {self.drift.gate.name}"
                    )

    def _queue(self) -> Queue:
        """The queue of the trainings. Raises UsageError if it has no workers: another step reports queues."""
        try:
            return remote_launch.queue_of(self.services.clearml, self.run, self.launch)
        except ClearMLError as error:
            raise UsageError(str(error)) from error

    def _prepared(self, merges: dict[int, Merge]) -> dict[int, tuple[Code, Seeding]]:
        """The code of each merge, and the way of the seed into its script."""
        check = audit_parameters.as_check(self.audit)
        parameter = seed_parameter.of_model(self.services.clearml, check, self.launch)
        found = {}
        for place, merge in merges.items():
            own = replace(check, commit=merge.commit)
            code, notes = pull_request_code.launch_code(self.github, own, self.launch)
            self.notes += [note for note in notes if note not in self.notes]
            found[place] = (
                code,
                seeded_trainings.seeding(
                    own,
                    self.launch,
                    parameter,
                    "this model's last runs",
                    github=self.github,
                    adds_task_init=code.inject_task_init,
                ),
            )
        return found

    def _value(self, task: str) -> float:
        recorded, reported = task_records.with_metrics(self.services.clearml, [task], [self.drift.gate])[task]
        self.tasks.append(recorded_task.as_document(recorded))
        inputs = task_inputs.read(self.services.clearml, [task])[task]
        (value,) = samples.values(self.drift.gate, [samples.Run(recorded, inputs, reported)])
        return value


def subject_of(models: Sequence[Model], gates: Sequence[Gate], launch: RemoteRun) -> tuple[Model, Drift] | None:
    """The newest drift that is a finding, of the model that the launch trains; None if there is none."""
    found = [
        (model, drift)
        for model in models
        if model.name == launch.name
        for gate in gates
        if gate.required
        for drift in main_drift.reported(model.merged, gate, reference=model.reference)
        if main_drift.severity(drift) == FINDING
    ]
    return max(found, key=lambda pair: pair[1].change.at, default=None)
