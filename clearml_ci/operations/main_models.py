"""The models of the default branch: the runs of each in merge order, and where their metrics drifted."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.clearml_api import task_inputs
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import baseline, recorded_task, slices
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import audit_findings, main_drift, main_runs, reference_tags
from clearml_ci.decisions.audit_findings import Finding, Key, Subject, Tasks
from clearml_ci.decisions.main_runs import Merged
from clearml_ci.decisions.samples import Run


@dataclass(frozen=True)
class Model:
    """One model: the tasks of one project and name. `reference` are the ids of those that it is compared with."""

    name: str
    subject: Subject
    merged: tuple[Merged, ...]
    reference: frozenset[str]


def read(
    clearml: ClearML,
    recorded: Tasks,
    merges: Sequence[Merge],
    by_tag: Mapping[str, Tasks],
    *,
    best: str,
    watched: Collection[Key] | None,
) -> dict[Key, Model]:
    """The models with runs of the default branch, from its `recorded` tasks, newest first: one request, or none.

    `merges` are newest first, `by_tag` the tasks with the tags of baseline and reference. `watched` are the models that
    have a baseline, None for all: a task of another name may be an experiment.
    """
    own = [(task, reported) for task, reported in recorded if recorded_task.is_clean_run(task)]
    own = [found for found in own if watched is None or audit_findings.key_of(found[0]) in watched]
    inputs = task_inputs.existing(clearml, [task.id for task, _ in own]) if own else {}
    runs: dict[Key, list[Run]] = {}
    for task, reported in own:
        if task.id in inputs:
            runs.setdefault(audit_findings.key_of(task), []).append(Run(task, inputs[task.id], reported))
    return {
        key: Model(
            key[1],
            audit_findings.subject_of(of_model[0].task),
            tuple(main_runs.in_merge_order(of_model, merges)),
            _reference(by_tag, best, key),
        )
        for key, of_model in runs.items()
    }


def drifts(models: Mapping[Key, Model], gates: Sequence[Gate]) -> list[Finding]:
    """The findings about drift."""
    return [
        finding
        for model in models.values()
        for finding in main_drift.findings(model.merged, gates, model.subject, reference=model.reference)
    ]


def explained_by_noise(models: Mapping[Key, Model], gates: Sequence[Gate]) -> set[tuple[Key, Gate]]:
    """The models and gates whose newest run is no credible loss beside the runs before it."""
    return {
        (key, gate)
        for key, model in models.items()
        for gate in slices.expanded(gates, main_runs.reported(model.merged))
        if main_drift.is_explained_by_noise(model.merged, gate)
    }


def _reference(by_tag: Mapping[str, Tasks], best: str, key: Key) -> frozenset[str]:
    """The usable runs of the model's reference; if it has none, its baseline."""
    for tag in (reference_tags.names(best).runs, best):
        found = [
            task.id for task, _ in by_tag.get(tag, ()) if audit_findings.key_of(task) == key and baseline.usable(task)
        ]
        if found:
            return frozenset(found)
    return frozenset()
