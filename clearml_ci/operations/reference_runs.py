"""The runs of the reference, as their tags name them in ClearML."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from clearml_ci.clearml_api import best_tag, task_inputs, task_records
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import Measured
from clearml_ci.core import comparability
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import reference, reference_tags
from clearml_ci.decisions.reference import Reference
from clearml_ci.decisions.reference_tags import Carriers
from clearml_ci.decisions.samples import Run
from clearml_ci.parameters.check import Check

_READ = 100  # newest tasks with the tag `main_branch`, of which those of other models are left out


@dataclass(frozen=True)
class Tagged:
    """The tasks that carry the tags of the reference, in merge order."""

    runs: tuple[Measured, ...] = ()
    showed: tuple[Measured, ...] = ()
    earlier: tuple[Measured, ...] = ()
    calibrated: tuple[Measured, ...] = ()

    @property
    def ids(self) -> list[str]:
        """The ids of all of them."""
        return [task.id for kind in self._kinds for task, _ in kind]

    @property
    def measured(self) -> list[Measured]:
        """All of them, with what they reported."""
        return [measured for kind in self._kinds for measured in kind]

    def replaced(self, readings: Mapping[str, Measured]) -> "Tagged":
        """The same tasks with what these readings have for them."""
        return Tagged(*(tuple(readings.get(task.id, (task, values)) for task, values in kind) for kind in self._kinds))

    @property
    def _kinds(self) -> tuple[tuple[Measured, ...], ...]:
        return self.runs, self.showed, self.earlier, self.calibrated

    def reference(self, inputs: Mapping[str, Inputs]) -> Reference:
        """The reference that they make; a task without inputs was deleted meanwhile."""
        return reference.of_tagged(*(_as_runs(kind, inputs) for kind in self._kinds))


def _as_runs(tagged: Iterable[Measured], inputs: Mapping[str, Inputs]) -> list[Run]:
    return [
        Run(task, inputs[task.id], values, doubt=reference_tags.RAN_AGAIN if reference_tags.ran_again(task) else "")
        for task, values in tagged
        if task.id in inputs
    ]


def tags(best: str) -> dict[str, str]:
    """The tags of baseline and reference, each with its stamp, so that one request reads both."""
    return {best: task_records.STAMP, **dict.fromkeys(_names(best), task_records.REFERENCE_STAMP)}


def of_model(tagged: Mapping[str, Sequence[Measured]], best: str, candidate: RecordedTask) -> Tagged:
    """The reference of the candidate's model, of which it is no part itself: tasks of its name, of other commits."""
    return Tagged(*(tuple(_ordered(_of_model(tagged[name], candidate))) for name in _names(best)))


def of_name(tagged: Mapping[str, Sequence[Measured]], best: str, name: str) -> Tagged:
    """The reference of the model whose tasks have this name."""
    named = {tag: [found for found in tagged[tag] if found[0].name == name] for tag in _names(best)}
    return Tagged(*(tuple(_ordered(found)) for found in named.values()))


def _names(best: str) -> tuple[str, ...]:
    return astuple(reference_tags.names(best))


def recorded(clearml: ClearML, carriers: Carriers, check: Check) -> Tagged:
    """The tasks that carried the tags of a reference before a run changed it, those that still exist: one request."""
    kinds = (carriers.runs, carriers.showed, carriers.earlier)
    found = task_records.existing(clearml, [task for kind in kinds for task in kind], check.gates)
    return Tagged(*(tuple(found[task] for task in kind if task in found) for kind in kinds))


def of_default_branch(
    clearml: ClearML,
    check: Check,
    candidate: RecordedTask,
    *,
    project: str | None,
    in_scope: Callable[[RecordedTask], bool],
) -> list[Run]:
    """The last ten runs, in merge order, of those that promotions tagged, and of the baseline: two requests.

    A reference begins with them. Only those count that can be compared with the last one.
    """
    newest = task_records.newest_tagged(
        clearml,
        [best_tag.MAIN_TAG, check.best_tag],
        projects=None if project is None else [project],
        task_name=check.task_name or candidate.name,
        gates=check.gates,
        most=_READ,
    )
    own = _of_model([(task, values) for task, values in newest if in_scope(task)], candidate)
    runs = _as_runs(_ordered(own), task_inputs.existing(clearml, [task.id for task, _ in own]))
    alike = [run for run in runs if not comparability.violation(_differences(check, run, runs[-1]))]
    return alike[-reference.FULL :]


def carriers(tagged: Mapping[str, Sequence[Measured]], best: str, name: str) -> Carriers:
    """All tasks of this name that carry the tags of the reference."""
    names = reference_tags.names(best)
    kinds = (names.runs, names.showed, names.earlier)
    return Carriers(*(tuple(task.id for task, _ in tagged[tag] if task.name == name) for tag in kinds))


def _differences(check: Check, run: Run, newest: Run) -> list[comparability.Difference]:
    return comparability.differences(check.alike, run.inputs, newest.inputs)


def _of_model(tagged: Iterable[Measured], candidate: RecordedTask) -> list[Measured]:
    return [
        (task, values) for task, values in tagged if task.name == candidate.name and task.commit != candidate.commit
    ]


def _ordered(tagged: Sequence[Measured]) -> list[Measured]:
    by_id = {task.id: (task, values) for task, values in tagged}
    return [by_id[task.id] for task in reference_tags.in_merge_order(task for task, _ in tagged)]
