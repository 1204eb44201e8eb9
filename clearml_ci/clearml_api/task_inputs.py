"""Read the inputs of tasks: hyperparameters, packages, datasets, models, GPU."""

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from clearml_ci.clearml_api import paging, task_fields, task_parameters
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import requirements_file
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.recorded_task import SUCCESSFUL

_DATASETS = "Datasets"  # the section in which `Dataset.get(alias=...)` records the datasets of a task


_NO_HYPERPARAMETERS = (_DATASETS, "properties")  # the second: notes that people and programs add afterwards


FIELDS = ["hyperparams", "script.requirements", "models.input", "runtime"]


def read(clearml: ClearML, tasks: Sequence[str]) -> dict[str, Inputs]:
    """The inputs of these tasks, by id, in one request. Raises TaskGoneError if one does not exist."""
    return {task["id"]: of(task) for task in task_fields.read_all(clearml, tasks, FIELDS)}


def existing(clearml: ClearML, tasks: Sequence[str]) -> dict[str, Inputs]:
    """The inputs of those of these tasks that exist, by id: one request."""
    return {id_: of(task) for id_, task in task_fields.read_existing(clearml, tasks, FIELDS).items()}


def of_newest(clearml: ClearML, *, project: str, task_name: str, most: int) -> list[Inputs]:
    """The inputs of the successful tasks of this project and name that started last: one request."""
    found = paging.records(
        clearml,
        "tasks",
        page_size=most,
        project=[project],
        name=f"^{re.escape(task_name)}$",
        status=list(SUCCESSFUL),
        only_fields=["id", *FIELDS],
        order_by=["-started"],
    )
    return [of(task) for task in islice(found, most)]


def of(task: Mapping[str, Any]) -> Inputs:
    """The inputs of a task that was read with FIELDS."""
    requirements = ((task.get("script") or {}).get("requirements") or {}).get("pip") or ""
    datasets = {f"{_DATASETS}/{name}": value for name, value in task_parameters.values(task, _DATASETS).items()}
    return Inputs(
        hyperparameters=_hyperparameters(task),
        packages=requirements_file.versions(requirements if isinstance(requirements, str) else "\n".join(requirements)),
        inputs=datasets | _models(task),
        gpu=str((task.get("runtime") or {}).get("gpu_type") or ""),
    )


def _hyperparameters(task: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{section}/{name}": value
        for section in task.get("hyperparams") or {}
        if section not in _NO_HYPERPARAMETERS
        for name, value in task_parameters.values(task, section).items()
    }


def _models(task: Mapping[str, Any]) -> dict[str, str]:
    models = (task.get("models") or {}).get("input") or []
    return {f"models/{entry['name']}": task_fields.reference_id(entry.get("model")) for entry in models}
