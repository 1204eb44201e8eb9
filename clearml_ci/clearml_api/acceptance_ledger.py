"""The accepted losses of a repository's checks: each is recorded on the run whose verdict it turned.

The run is tagged, so that one request finds all. Clones copy both: an entry counts only on the run that it names.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from clearml_ci.clearml_api import configuration_objects, paging, project_lookup, task_tags
from clearml_ci.clearml_api.project_lookup import PIPELINES
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.documents import AcceptedDocument, AcceptedEntry
from clearml_ci.parameters import check

NAME = "accepted"  # of a configuration object


TAG = "accepted a loss"


def record(clearml: ClearML, entry: AcceptedEntry) -> None:
    """Store the accepted losses on their run, and tag it."""
    configuration_objects.store(clearml, entry["run"], NAME, entry)
    task_tags.update(clearml, [entry["run"]], add=[TAG])


def entries(clearml: ClearML, project: str) -> Iterator[AcceptedEntry]:
    """The entries of the repository that this run's ClearML project is of, newest first: a request for 500."""
    pipeline = project_lookup.id_of(clearml, f"{project.rpartition(PIPELINES)[0]}{PIPELINES}{check.PIPELINE}")
    if pipeline is None:
        return
    runs = paging.records(
        clearml,
        "tasks",
        project=[pipeline],
        type=["controller"],
        tags=[TAG],
        only_fields=["type", "project.id", f"configuration.{NAME}"],
        order_by=["-created"],
    )
    for run in runs:
        if (entry := _entry(run)) and entry["run"] == run["id"]:
            yield {**entry, "url": clearml.task_url(run)}  # users can edit the entry


def _entry(run: Mapping[str, Any]) -> AcceptedEntry | None:
    """The entry of this run; None if it has none that can be read: users can edit it."""
    item = (run.get("configuration") or {}).get(NAME)
    try:
        entry = json.loads(item["value"]) if item else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not AcceptedEntry.__required_keys__ <= entry.keys():
        return None
    listed = entry["accepted"]
    readable = (
        isinstance(entry["commit"], str) and isinstance(listed, list) and all(_is_readable(each) for each in listed)
    )
    return cast(AcceptedEntry, entry) if readable else None


def _is_readable(accepted: object) -> bool:
    if not isinstance(accepted, dict) or not AcceptedDocument.__required_keys__ <= accepted.keys():
        return False
    value, *texts = (accepted[name] for name in ("value", "metric", "by", "reason", "comment", "at"))
    return isinstance(value, float) and all(isinstance(text, str) for text in texts)
