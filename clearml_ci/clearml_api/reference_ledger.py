"""The changes of a reference: each is recorded on the run that makes it, before its first change of a tag.

The run is tagged, so that the request that finds all moves of the baseline finds all changes as well.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clearml_ci.clearml_api import best_tag, configuration_objects, task_fields
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.decisions import reference_tags
from clearml_ci.decisions.reference_tags import Change

NAME = "reference"  # of a configuration object
CHANGED_TAG = "changed the reference"


def begin(clearml: ClearML, change: Change) -> None:
    """Store a change that is about to be made, and tag its run."""
    record(clearml, change)
    best_tag.add_tag(clearml, change.run, CHANGED_TAG)


def record(clearml: ClearML, change: Change) -> None:
    """Store a change on the run that makes it."""
    configuration_objects.store(clearml, change.run, NAME, reference_tags.as_entry(change))


def forget(clearml: ClearML, changes: Sequence[Change]) -> None:
    """Untag the runs of these changes, which another run has taken over."""
    best_tag.remove_tag(clearml, [change.run for change in changes], CHANGED_TAG)


def change_of(clearml: ClearML, run: str) -> Change | None:
    """The change that this run recorded, None if there is none; the entry of a clone names another run."""
    found = task_fields.read_existing(clearml, [run], [f"configuration.{NAME}"]).get(run)
    return entry(found) if found else None


def entry(run: Mapping[str, Any]) -> Change | None:
    """The change that this run, as the server has it, recorded; None if there is none, or it names another run."""
    item = (run.get("configuration") or {}).get(NAME)
    try:
        change = reference_tags.from_entry(json.loads(item["value"])) if item else None
    except (ValueError, KeyError, TypeError, RecursionError):  # a user edited it
        return None
    return change if change and change.run == run["id"] else None
