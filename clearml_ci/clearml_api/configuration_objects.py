"""Store a JSON document as a configuration object of a task, whatever its status."""

import json
from typing import Any

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML, ClearMLError, LostAnswerError


def store(clearml: ClearML, task: str, name: str, document: object) -> None:
    """Store the document under its name; the other objects stay.

    `tasks.edit_configuration` refuses a task that has ended, also with `force`. `tasks.edit` does not, but replaces all
    objects, so the present ones are read and kept.
    """
    item: dict[str, Any] = {"name": name, "type": "json", "value": json.dumps(document, indent=1)}
    try:
        clearml.call(
            "tasks.edit_configuration", task=task, configuration=[item], replace_configuration=False, force=True
        )
    except LostAnswerError:
        raise
    except ClearMLError as error:
        if "task status" not in str(error):
            raise
        present = task_fields.read(clearml, task, ["configuration"]).get("configuration") or {}
        clearml.call("tasks.edit", task=task, configuration={**present, name: item}, force=True)
