"""The drafts of launched tasks, which stay if their step is killed before it enqueues them: what the audit deletes.

A complete draft carries our mark, and an incomplete one our name, which has the id of its step. One regular expression
finds both, so the workspace's other drafts are not read.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from clearml_ci.clearml_api import launch_draft, ownership, paging, task_creation, task_fields
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.decisions.leftovers import Draft

_FIELDS = ["name", "type", "status", "project.name", "user", "system_tags", launch_draft.STEP_FIELD, *ownership.FIELDS]


def read(clearml: ClearML) -> list[Draft]:
    """All drafts of launched tasks of the workspace, oldest first, archived ones included."""
    ours = f"^({'|'.join(launch_draft.PURPOSES)}|{launch_draft.INCOMPLETE})$"
    matching = {"fields": [f"runtime.{ownership.PURPOSE_MARK}", "name"], "pattern": ours}
    found = paging.records(
        clearml, "tasks", status=["created"], _any_=matching, only_fields=_FIELDS, order_by=["created"]
    )
    drafts = [draft for draft in found if _is_launched(draft)]
    makers = task_fields.read_existing(clearml, _makers(drafts), ["project.name", *ownership.FIELDS])
    user = _current_user(clearml) if any(_is_incomplete(draft) for draft in drafts) else ""
    return [_draft(clearml, draft, makers, user) for draft in drafts]


def delete(clearml: ClearML, draft: Draft) -> None:
    """Delete a draft. Raises ClearMLError if it is none any more."""
    task_creation.delete(clearml, draft.id)


def _is_launched(draft: Mapping[str, Any]) -> bool:
    return ownership.purpose_of(draft) in launch_draft.PURPOSES or _is_incomplete(draft)


def _is_incomplete(draft: Mapping[str, Any]) -> bool:
    return not ownership.run_of(draft) and bool(launch_draft.maker_of(draft.get("name") or ""))


def _makers(drafts: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({maker for draft in drafts if (maker := _maker(draft))})


def _maker(draft: Mapping[str, Any]) -> str:
    """The step that made a draft, or its run if no agent ran the step."""
    if _is_incomplete(draft):
        return launch_draft.maker_of(draft["name"])
    return launch_draft.step_of(draft) or ownership.run_of(draft)


def _draft(clearml: ClearML, draft: Mapping[str, Any], makers: Mapping[str, Mapping[str, Any]], user: str) -> Draft:
    maker = makers.get(_maker(draft), {})
    incomplete = _is_incomplete(draft)
    return Draft(
        id=draft["id"],
        name=draft.get("name") or "",
        url=clearml.task_url(draft),
        project=_project(draft),
        run=(ownership.run_of(maker) if maker else "") if incomplete else ownership.run_of(draft),
        purpose="draft" if incomplete else ownership.purpose_of(draft),
        made_in=_project(maker),
        complete=not incomplete,
        archived="archived" in (draft.get("system_tags") or []),
        ours=not incomplete or task_fields.reference_id(draft.get("user")) == user,
    )


def _project(task: Mapping[str, Any]) -> str:
    return str((task.get("project") or {}).get("name") or "")


def _current_user(clearml: ClearML) -> str:
    return str(clearml.call("users.get_current_user")["user"]["id"])
