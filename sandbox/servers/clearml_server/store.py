"""The server's whole state: plain records in memory, shaped as the API answers them, under one lock."""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

Record = dict[str, Any]

COMPANY = "d1bd92a3b039400cbafc60a7a5b1e52b"  # the one company of an open-source server
USER = "__sandbox__"
USER_NAME = "sandbox"
SERVER_VERSION = "2.0.0"


@dataclass
class TaskEvents:
    log: list[Record] = field(default_factory=list)
    plots: list[Record] = field(default_factory=list)
    images: list[Record] = field(default_factory=list)
    scalars: dict[tuple[str, str], list[Record]] = field(default_factory=dict)


@dataclass
class Store:
    include_pipeline_steps: bool = True
    access_key: str = field(default_factory=lambda: secrets.token_hex(10).upper())
    secret_key: str = field(default_factory=lambda: secrets.token_urlsafe(36), repr=False)
    signing_key: str = field(default_factory=lambda: secrets.token_hex(32), repr=False)
    lock: threading.RLock = field(default_factory=threading.RLock)
    tasks: dict[str, Record] = field(default_factory=dict)
    projects: dict[str, Record] = field(default_factory=dict)
    queues: dict[str, Record] = field(default_factory=dict)
    workers: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)
    events: dict[str, TaskEvents] = field(default_factory=dict)
    scrolls: dict[str, int] = field(default_factory=dict)
    """How many records each scroll of a list has answered."""
    preferences: Record = field(default_factory=dict)
    parameter_keys: dict[str, dict[str, str]] = field(default_factory=dict)
    """Of runs that were cloned with changes: each parameter's key in the database, see `parameter_keys`."""
    enqueued_from: dict[str, str | None] = field(default_factory=dict)
    """The status a queued task had before: what a dequeue returns it to."""

    @property
    def api_version(self) -> str:
        """`include_pipeline_steps` came with API 2.30."""
        return "2.31" if self.include_pipeline_steps else "2.29"


def new_id() -> str:
    return uuid.uuid4().hex


def now() -> str:
    """The moment, as the API writes it. MongoDB keeps milliseconds."""
    moment = datetime.now(timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000).isoformat(timespec="microseconds")


def seconds_since(moment: str) -> float:
    return (datetime.now(timezone.utc) - datetime.fromisoformat(moment)).total_seconds()


def unique_sorted(values: list[str] | None) -> list[str]:
    """Tags are kept as a sorted set."""
    return sorted(set(values or []))
