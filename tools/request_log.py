"""The requests that the local servers of this process answer, with the moment of each answer."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import flask

_ENDPOINT = re.compile(r"(?:v[\d.]+/)?([a-z_]+\.[a-z_.]+)")


@dataclass(frozen=True)
class Request:
    """One request to the ClearML API: `at` in seconds of the monotonic clock, `task` the id that it names, or ""."""

    at: float
    endpoint: str
    task: str
    body: dict[str, Any] = field(repr=False)


@contextmanager
def recorded() -> Iterator[list[Request]]:
    """The requests that are answered during a block; the list grows meanwhile."""
    requests: list[Request] = []

    def record(_app: flask.Flask, response: flask.Response, **_: Any) -> None:
        if found := _ENDPOINT.fullmatch(flask.request.path.lstrip("/")):
            body = _parsed(flask.request.get_data())
            task = _answered(found[1], response) or str(body.get("task") or "")
            requests.append(Request(time.monotonic(), found[1], task, body))

    flask.request_finished.connect(record)
    try:
        yield requests
    finally:
        flask.request_finished.disconnect(record)


def _answered(endpoint: str, response: flask.Response) -> str:
    """The task that the answer names: the run that was started, or the task that an agent was given."""
    if endpoint == "queues.get_next_task":
        return str((_parsed(response.get_data()).get("data", {}).get("entry") or {}).get("task") or "")
    return str(_parsed(response.get_data()).get("data", {}).get("pipeline") or "") if "start" in endpoint else ""


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        document = json.loads(text or b"{}")
    except ValueError:  # lines of events
        return {}
    return document if isinstance(document, dict) else {}
