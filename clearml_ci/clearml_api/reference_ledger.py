"""The changes of a reference: each is recorded on the run that makes it, before its first change of a tag."""

import json

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.decisions import reference_tags
from clearml_ci.decisions.reference_tags import Change

_NAME = "reference"  # of a configuration object


def record(clearml: ClearML, change: Change) -> None:
    """Store a change on the run that makes it."""
    item = {"name": _NAME, "type": "json", "value": json.dumps(reference_tags.as_entry(change), indent=1)}
    clearml.call(
        "tasks.edit_configuration", task=change.run, configuration=[item], replace_configuration=False, force=True
    )


def change_of(clearml: ClearML, run: str) -> Change | None:
    """The change that this run recorded, None if there is none; the entry of a clone names another run."""
    found = task_fields.read_existing(clearml, [run], [f"configuration.{_NAME}"]).get(run) or {}
    item = (found.get("configuration") or {}).get(_NAME)
    try:
        change = reference_tags.from_entry(json.loads(item["value"])) if item else None
    except (ValueError, KeyError, TypeError, RecursionError):  # a user edited it
        return None
    return change if change and change.run == run else None
