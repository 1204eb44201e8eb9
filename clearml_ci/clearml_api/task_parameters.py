"""Read and write the parameters of tasks: the sections `Args` and `properties`, which the web UI shows."""

import re
from collections.abc import Mapping
from typing import Any

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML

_ESCAPED = re.compile(r"^%+_")


def values(task: Mapping[str, Any], section: str) -> dict[str, str]:
    """A section of a task's parameters, by name.

    Each `pipelines.start_pipeline` escapes the names of what it clones again: the parameters that a rerun of a rerun
    was not given come back as `%%_context` (clone_task in apiserver/bll/task/task_bll.py, servers 2.0 to 2.3).
    """
    items = ((task.get("hyperparams") or {}).get(section) or {}).items()
    found = {name: str(item.get("value") or "") for name, item in sorted(items, key=lambda item: -item[0].count("%"))}
    return {_ESCAPED.sub("_", name): value for name, value in found.items()}  # the least escaped name wins


def section_items(section: str, values: Mapping[str, str]) -> list[dict[str, str]]:
    """A section of parameters, as `tasks.edit_hyper_params` takes it."""
    return [{"section": section, "name": name, "value": value, "type": "str"} for name, value in values.items()]


def argument(clearml: ClearML, task: str, name: str) -> str:
    """The value of one of a task's `Args`; empty if it has none of that name."""
    return values(task_fields.read(clearml, task, ["hyperparams.Args"]), "Args").get(name, "")


def set_properties(clearml: ClearML, task: str, properties: Mapping[str, str]) -> None:
    """Set user properties of a task in any status; the others stay."""
    clearml.call("tasks.edit_hyper_params", task=task, hyperparams=section_items("properties", properties), force=True)
