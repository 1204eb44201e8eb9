"""The function of each endpoint: `"tasks.get_all" -> function(store, request) -> data`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .store import Record, Store

Answer = Callable[[Store, Record], Record]


@dataclass(frozen=True)
class Endpoint:
    answer: Answer
    version: str
    open: bool


ENDPOINTS: dict[str, Endpoint] = {}


def endpoint(name: str, *, version: str = "1.0", needs_credentials: bool = True) -> Callable[[Answer], Answer]:
    """Register the function; `version` is the `actual_version` that the real server reports for it."""

    def register(answer: Answer) -> Answer:
        ENDPOINTS[name] = Endpoint(answer, version, not needs_credentials)
        return answer

    return register
