"""Read the histories of a project's models: all runs of the default branch, and what promotions recorded."""

from collections.abc import Sequence
from dataclasses import astuple
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import acceptance_ledger, best_tag, promotion_ledger, task_inputs, task_records
from clearml_ci.clearml_api.paging import MOST
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import recorded_task
from clearml_ci.core.gate import Gate
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import history, main_runs, reference_tags
from clearml_ci.decisions.history import History
from clearml_ci.decisions.samples import Run
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check


def read(
    clearml: ClearML, check: Check, gates: Sequence[Gate], *, project: str, pipelines: str, merges: Sequence[Merge] = ()
) -> list[History]:
    """The history of each model of a project (an id): 500 tasks a request.

    It has the tasks with the tags of promotions and calibrations. `pipelines` is the ClearML project of the
    repository's pipelines, empty if it is not known. `merges` are newest first; runs of other commits come before them,
    by their start.
    """
    names = reference_tags.names(check.best_tag)
    of_runs = dict.fromkeys((best_tag.MAIN_TAG, *astuple(names)), task_records.REFERENCE_STAMP)
    own: Any = {"projects": [project], "task_name": check.task_name, "gates": gates}
    by_tag = task_records.by_tag(clearml, {**of_runs, check.best_tag: task_records.STAMP}, **own)
    found = {task.id: (task, values) for tag in by_tag for task, values in by_tag[tag] if not task.copied_from}
    clean = [(task, values) for task, values in found.values() if recorded_task.is_clean_run(task)]
    inputs = task_inputs.existing(clearml, [task.id for task, _ in clean])
    moves, changes = _recorded(clearml, pipelines)
    accepted = list(islice(acceptance_ledger.entries(clearml, f"{pipelines}{PIPELINES}"), MOST)) if pipelines else []
    carriers = {"baseline": _ids(by_tag[check.best_tag]), "reference": _ids(by_tag[names.runs])}
    histories = []
    for name in sorted({task.name for task, _ in clean}):
        runs = [Run(task, inputs[task.id], values) for task, values in clean if task.name == name and task.id in inputs]
        merged = main_runs.in_merge_order(runs, _with_older(runs, merges), seed=check.seed)
        histories.append(
            history.of_model(
                name,
                merged,
                gates,
                carriers=carriers,
                moves=moves,
                changes=changes,
                accepted=accepted,
                seed=check.seed,
            )
        )
    return histories


def _recorded(clearml: ClearML, pipelines: str) -> tuple[list[Any], list[Any]]:
    if not pipelines:
        return [], []
    return promotion_ledger.with_changes(clearml, f"{pipelines}{PIPELINES}{promotion_mode.PIPELINE}")


def _ids(tagged: Sequence[task_records.Measured]) -> set[str]:
    return {task.id for task, _ in tagged if not task.copied_from}


def _with_older(runs: Sequence[Run], merges: Sequence[Merge]) -> list[Merge]:
    """The merges, newest first, and after them the commits of runs that are of none; none if no merge is known."""
    if not merges:
        return []
    known = {commit for merge in merges for commit in merge.commits}
    others = main_runs.in_merge_order([run for run in runs if run.task.commit not in known], [])
    return [*merges, *(merged.merge for merged in reversed(others))]
