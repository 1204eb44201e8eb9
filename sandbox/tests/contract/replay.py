"""Replaying recorded requests against another server, and comparing its answers with the recorded ones.

Ids differ between servers: what the recording calls `5669…` got another id here. They are matched when an answer
names the id of something new, and translated in every request (to ours) and in every answer (back).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).parent
RECORDED_USER = "tests"
_ID = re.compile(r"\b[0-9a-f]{32}\b")
_MAKES = frozenset({"tasks.create", "tasks.clone", "projects.create", "queues.create", "models.create"})
_TIMEOUT = 30  # seconds

# Values that belong to one server or one moment; that they are there, and their types, is still compared.
_VOLATILE = frozenset(
    [
        "id",
        "company",
        "user",
        "last_changed_by",
        "key",
        "ip",
        "token",
        "parent",
        "path",
        "active_duration",
        "created",
        "started",
        "completed",
        "published",
        "status_changed",
        "last_update",
        "last_change",
        "last_worker_report",
        "register_time",
        "last_activity_time",
        "last_report_time",
        "last_task_run",
        "total_runtime",
        "added",
        "@timestamp",
        "timestamp",
        "last_timestamp",
        "updated",
    ]
)
Record = dict[str, Any]


@dataclass(frozen=True)
class Exchange:
    n: int
    method: str
    path: str
    content_type: str | None
    auth: str
    request: Any
    status: int
    response: Any

    @property
    def endpoint(self) -> str:
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Seed:
    """A call that the recording's thinning left out; `id` is the recorded id of what it made or found."""

    before: int
    endpoint: str
    request: Record
    id: str | None = None


@dataclass
class Replay:
    """One pass over the recording against the server at `api_url`."""

    api_url: str
    keys: tuple[str, str]
    ours: dict[str, str] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)
    token: str = ""
    user: str = ""
    cookies: dict[str, str] = field(default_factory=dict)

    def begin(self) -> None:
        login = requests.get(f"{self.api_url}/auth.login", auth=self.keys, timeout=_TIMEOUT)
        self.token = login.json()["data"]["token"]
        self.user = self._call("users.get_current_user", {})["user"]["name"]

    def plant(self, seed: Seed) -> None:
        data = self._call(seed.endpoint, seed.request)
        if seed.id:
            self.ours[seed.id] = _id_of(data)

    def play(self, exchange: Exchange) -> tuple[int, Record]:
        """The status and the answer, in the recording's ids and with the recorded user's name."""
        request = exchange.request
        body = request if isinstance(request, str) else "" if request is None else json.dumps(request)
        answer = self._send(exchange.method, exchange.path, body, exchange.content_type, exchange.auth)
        self._learn_from(exchange, answer.json())
        back = {our: recorded for recorded, our in self.ours.items()}
        text = _translated(answer.text, back).replace(f"Stopped by {self.user}", f"Stopped by {RECORDED_USER}")
        return answer.status_code, json.loads(text)

    def _call(self, endpoint: str, request: Record) -> Record:
        batch = endpoint == "events.add_batch"
        body = "\n".join(map(json.dumps, request["events"])) if batch else json.dumps(request)
        content_type = "application/json-lines" if batch else "application/json"
        answer = self._send("POST", f"/{endpoint}", body, content_type, "Bearer")
        assert answer.ok, (endpoint, request, answer.text)
        data: Record = answer.json()["data"]
        return data

    def _send(self, method: str, path: str, body: str, content_type: str | None, auth: str) -> requests.Response:
        headers = {"Content-Type": content_type} if content_type else {}
        if auth == "Bearer":
            headers["Authorization"] = f"Bearer {self.token}"
        keys = {"Basic": self.keys, "Basic-wrong": ("no such key", "no such secret")}.get(auth)
        data = _translated(body, self.ours).encode()
        self.session.cookies.clear()  # a browser's session is a cookie, which no other client sends
        answer = self.session.request(
            method,
            self.api_url + path,
            data=data,
            headers=headers,
            auth=keys,
            cookies=self.cookies if auth == "Cookie" else None,
            timeout=_TIMEOUT,
        )
        if path.endswith("/auth.login"):
            self.cookies = answer.cookies.get_dict()
        return answer

    def _learn_from(self, exchange: Exchange, answer: Record) -> None:
        recorded, ours = exchange.response["data"], answer["data"]
        if exchange.endpoint in _MAKES and "id" in ours:
            self.ours[recorded["id"]] = ours["id"]
        if ours.get("scroll_id"):
            self.ours[recorded["scroll_id"]] = ours["scroll_id"]
        if "pipeline" in ours:
            self.ours[recorded["pipeline"]] = ours["pipeline"]
        queue = ours.get("fields", {}).get("execution.queue")
        if queue:  # an unknown name makes a new queue
            self.ours.setdefault(recorded["fields"]["execution.queue"], queue)


def _id_of(data: Record) -> str:
    """Return the id of the object that a call made or found."""
    found = data.get("projects") or data.get("queues") or [{}]
    return str(data.get("id") or data.get("pipeline") or found[0]["id"])


def _translated(text: str, ids: dict[str, str]) -> str:
    return _ID.sub(lambda found: ids.get(found[0], found[0]), text)


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    """Yield each difference of keys, types or (but for volatile fields) values."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        if set(recorded) != set(ours):
            yield f"{path}: missing {sorted(set(recorded) - set(ours))}, added {sorted(set(ours) - set(recorded))}"
        for key in recorded.keys() & ours.keys():
            yield from differences(recorded[key], ours[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(ours, list):
        yield from _list_differences(recorded, ours, path)
    elif _kind(recorded) != _kind(ours):
        yield f"{path}: {_kind(recorded)} {recorded!r:.60} became {_kind(ours)} {ours!r:.60}"
    elif recorded != ours and not _is_volatile(path):
        yield f"{path}: {recorded!r:.80} became {ours!r:.80}"


def _list_differences(recorded: list[Any], ours: list[Any], path: str) -> Iterator[str]:
    if len(recorded) != len(ours):
        yield f"{path}: {len(recorded)} entries became {len(ours)}"
    for index, pair in enumerate(zip(_aligned(recorded), _aligned(ours), strict=False)):
        yield from differences(*pair, f"{path}[{index}]")


def _aligned(records: list[Any]) -> list[Any]:
    """Sort records by id or name: answers come in the order of ids, which differ between servers."""
    if not all(isinstance(record, dict) for record in records):
        return records
    return sorted(records, key=lambda record: str(record.get("id") or record.get("name") or ""))


def _is_volatile(path: str) -> bool:
    parts = path.rsplit(".", 2)
    return parts[-1].split("[", 1)[0] in _VOLATILE or parts[-2:] == ["user", "name"]


def _kind(value: Any) -> str:
    """JSON's own types: 0 and 0.0 are one."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return "number" if is_number else type(value).__name__


def shape(value: Any) -> Any:
    """Keys and types alone, of a list its first entry: comparable even if the contents are not."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value[:1]] if isinstance(value, list) else _kind(value)


def exchanges(file: str = "exchanges.jsonl") -> list[Exchange]:
    return [Exchange(**json.loads(line)) for line in (HERE / file).read_text().splitlines()]


def seeds(file: str = "seeds.jsonl") -> dict[int, list[Seed]]:
    """By the exchange that they go before."""
    found: dict[int, list[Seed]] = {}
    for line in (HERE / file).read_text().splitlines():
        seed = Seed(**json.loads(line))
        found.setdefault(seed.before, []).append(seed)
    return found
