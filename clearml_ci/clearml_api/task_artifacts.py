"""Store documents and texts as artifacts of tasks, on ClearML's file server directly.

On any other storage the SDK stores them, which takes a second of CPU time.
"""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from clearml_ci.clearml_api import configuration, sdk, task_fields
from clearml_ci.clearml_api.session import TIMEOUTS, ClearML, ClearMLError


@dataclass(frozen=True)
class _Kind:
    """A kind of artifact as the SDK names it."""

    name: str
    suffix: str
    media_type: str


_JSON, _TEXT = _Kind("dict", "json", "application/json"), _Kind("string", "txt", "text/plain")


_PREVIEW = 65_536  # bytes that the SDK stores of a document, which the web UI shows


def store(clearml: ClearML, task: str, name: str, content: Mapping[str, Any] | str) -> None:
    """Store a document (as JSON) or a text as an artifact, in place of one of its name. Raises ClearMLError."""
    kind = _TEXT if isinstance(content, str) else _JSON
    text = content if isinstance(content, str) else json.dumps(content, sort_keys=True, indent=4)
    path = f"clearml-ci/{task_fields.require_id(task)}/{name}.{kind.suffix}"
    elsewhere = (task_fields.read(clearml, task, ["output.destination"]).get("output") or {}).get("destination")
    host = "" if elsewhere else configuration.files_host()
    if address := _upload(clearml, host, path, text, kind) if host else "":
        artifact = _artifact(name, address, text, kind)
        clearml.call("tasks.add_or_update_artifacts", task=task, artifacts=[artifact], force=True)
    elif not _stored_by_sdk(task, name, content):
        raise ClearMLError(f"the {name} could not be stored on the run {task}: check ClearML's file server")


def _upload(clearml: ClearML, host: str, path: str, text: str, kind: _Kind) -> str:
    """The address of a file on the file server; "" if the server does not take it."""
    try:
        answer = clearml.http.post(
            host,
            files={path: (path.rpartition("/")[2], text.encode(), kind.media_type)},
            headers={"Authorization": f"Bearer {clearml.token()}"},
            timeout=TIMEOUTS,
            verify=configuration.verify(),
        )
    except (requests.RequestException, ClearMLError):
        return ""
    return f"{host}/{quote(path)}" if answer.ok else ""


def _artifact(name: str, address: str, text: str, kind: _Kind) -> dict[str, Any]:
    content = text.encode()
    return {
        "key": name,
        "type": kind.name,
        "mode": "output",
        "uri": address,
        "content_size": len(content),
        "hash": hashlib.sha256(content).hexdigest(),
        "timestamp": int(time.time()),
        "type_data": {"content_type": kind.media_type, "preview": text[:_PREVIEW]},
        "display_data": [],
    }


def _stored_by_sdk(task: str, name: str, content: Mapping[str, Any] | str) -> bool:
    try:
        found = sdk.load().Task.get_task(task_id=task)
        return bool(
            found.upload_artifact(name, content if isinstance(content, str) else dict(content), wait_on_upload=True)
        )
    except Exception:  # whatever the layer of its storage raises
        return False
