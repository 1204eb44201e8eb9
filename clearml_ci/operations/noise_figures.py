"""Read what is known of the noise of a policy's gates: from the reference in ClearML, without any candidate."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clearml_ci.clearml_api import task_inputs
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import Measured
from clearml_ci.core import baseline, checkpoint, slices
from clearml_ci.core import gate as gates
from clearml_ci.core.gate import Gate, Judgement
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import calibration, reference
from clearml_ci.decisions.calibration import Figures
from clearml_ci.decisions.noise_rule import Case
from clearml_ci.decisions.reference import Reference
from clearml_ci.operations import baselines, checkpoints, reference_runs
from clearml_ci.parameters.check import Check


def read(clearml: ClearML, check: Check, *, project_id: str = "", branch: str = "main") -> dict[str, list[Figures]]:
    """The figures of each gate, by the name of the tasks: each name is a model of its own.

    `project_id` is that of the tasks if the check names no project. A few requests, however many runs there are. Raises
    ClearMLError and UsageError.
    """
    check = replace(check, gates=checkpoint.resolved(check.gates, check.at))
    tagged = _read(clearml, check, project_id)
    names = {task.name for tag in tagged for task, _ in tagged[tag]} or {check.task_name}
    known = {name: reference_runs.of_name(tagged, check.best_tag, name) for name in sorted(names)}
    inputs = task_inputs.existing(clearml, [task for of_name in known.values() for task in of_name.ids])
    return {
        name: calibration.of_gates(
            _cases(check, name, tagged, of_name.reference(inputs)), by=check.rule, repeats=check.repeats, branch=branch
        )
        for name, of_name in known.items()
    }


def _read(clearml: ClearML, check: Check, project_id: str) -> dict[str, list[Measured]]:
    """The tagged tasks by their tags, each read at its checkpoint."""
    tagged = baselines.with_reference(clearml, check, project_id)
    runs = {task.id: (task, values) for found in tagged.values() for task, values in found}
    every = replace(check, gates=slices.expanded(check.gates, [values for _, values in runs.values()]))
    readings = checkpoints.read(clearml, every.gates, runs)
    return {tag: [readings[task.id] for task, _ in found] for tag, found in tagged.items()}


def _cases(check: Check, name: str, tagged: Mapping[str, Sequence[Measured]], known: Reference) -> list[Case]:
    """The cases of the gates, without a candidate."""
    if known.in_force and check.alike.difference != "warn":
        known = reference.alike(known, known.in_force[0].inputs, check.alike)
    every = slices.expanded(check.gates, [run.reported for run in known.in_force])
    judged = [(gate, _by_tolerance(check, gate, name, tagged)) for gate in every]
    return reference.cases(judged, (), known, seed=check.seed)


def _by_tolerance(check: Check, gate: Gate, name: str, tagged: Mapping[str, Sequence[Measured]]) -> Judgement:
    """A judgement with the baseline of this model, which the tolerance is around."""
    summaries = [
        summary
        for task, values in tagged[check.best_tag]
        if task.name == name and baseline.usable(task) and (summary := values.get(gate))
    ]
    best = [gates.value_of(gate, summary) for summary in summaries if gates.can_be_trusted(gate, summary)]
    pick = max if gate.goal == "maximize" else min
    return Judgement(Outcome.PASSED, "", baseline=pick(best, default=None))
