"""The local ClearML server against a recording of a real one (SDK 2.1.12, agent 3.0.3, server 2.0.0).

`exchanges.jsonl` holds the recording in the order of time. If the recorder had cut a batch of events, its last,
incomplete line is gone and `added` counts what is left; exchange 24 is completed from later answers.
Artificial renames that the recording had made in answers alone are made in requests too. Trace ids, timings and
client names are dropped. `seeds.jsonl` holds the calls that the recording's thinning had removed: objects whose
creation is missing, and changes of state that later answers show.

Left out: four of the seven exchanges with the file server (uploads and downloads like the two that are kept; two are
binary files, which the recording does not hold byte for byte).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import requests

from sandbox.servers import clearml_server
from sandbox.tests.contract import replay

Answers = dict[int, tuple[int, replay.Record]]
ALL = replay.exchanges()
API = [exchange for exchange in ALL if exchange.path != "/" and not exchange.path.endswith(".json")]
FILES = [exchange for exchange in ALL if exchange not in API]

SHAPE_ONLY = {314: "lists all 41 tasks of the recorded workspace, whose other users' tasks are not in the recording"}
BEYOND_THE_SCHEMA = {
    "workers.status_report": "the agent sends `tags: null`",
    "queues.get_all": "the server answers `metadata: []` but the schema has an object",
}
REFUSED = {exchange.n for exchange in API if exchange.status != 200}


def _name(exchange: replay.Exchange) -> str:
    return f"{exchange.n}-{exchange.endpoint}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clearml_server.ClearMLServer]:
    running = clearml_server.start(tmp_path_factory.mktemp("files"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def answers(server: clearml_server.ClearMLServer) -> Answers:
    player = replay.Replay(server.api_url, (server.access_key, server.secret_key))
    player.begin()
    seeds = replay.seeds()
    played = {}
    for exchange in API:
        for seed in seeds.get(exchange.n, []):
            player.plant(seed)
        played[exchange.n] = player.play(exchange)
    return played


@pytest.mark.parametrize("exchange", API, ids=_name)
def test_answer__to_a_recorded_request__is_like_the_real_one(answers: Answers, exchange: replay.Exchange) -> None:
    status, answer = answers[exchange.n]
    recorded = exchange.response
    assert status == exchange.status, answer
    assert {key: answer["meta"][key] for key in recorded["meta"]} == recorded["meta"]
    if exchange.n in SHAPE_ONLY:
        recorded, answer = replay.shape(recorded), replay.shape(answer)
    assert list(replay.differences(recorded["data"], answer["data"])) == []


def _schemas(kind: str) -> dict[str, Any]:
    """The SDK's own JSON schemas of all requests or all responses, the newest version of each."""
    services = ("auth", "events", "models", "projects", "queues", "tasks", "workers")
    names = [f"{version}.{service}" for version in ("v2_9", "v2_13", "v2_20", "v2_23") for service in services]
    modules = [importlib.import_module(f"clearml.backend_api.services.{name}") for name in names]
    items: list[Any] = [item for module in modules for item in vars(module).values() if hasattr(item, "_action")]
    found = [item for item in items if item.__name__.endswith(kind) and getattr(item, "_schema", None)]
    return {f"{item._service}.{item._action}": item._schema for item in found}


REQUEST_SCHEMAS, RESPONSE_SCHEMAS = _schemas("Request"), _schemas("Response")
CHECKED = [e for e in API if e.n not in REFUSED and e.endpoint not in BEYOND_THE_SCHEMA]


@pytest.mark.parametrize("exchange", [e for e in CHECKED if e.endpoint in REQUEST_SCHEMAS], ids=_name)
def test_request__recorded__fits_the_schema_of_the_sdk(exchange: replay.Exchange) -> None:
    request = exchange.request if isinstance(exchange.request, dict) else {}
    assert not list(_violations(request, REQUEST_SCHEMAS[exchange.endpoint]))


@pytest.mark.parametrize("exchange", [e for e in CHECKED if e.endpoint in RESPONSE_SCHEMAS], ids=_name)
def test_answer__ours__fits_the_schema_of_the_sdk(answers: Answers, exchange: replay.Exchange) -> None:
    _, answer = answers[exchange.n]
    assert not list(_violations(answer["data"], RESPONSE_SCHEMAS[exchange.endpoint]))


def _violations(data: Any, schema: Any) -> Iterator[str]:
    validator = jsonschema.Draft7Validator(schema)
    return (error.message for error in validator.iter_errors(data))


def test_files__recorded_upload__can_be_fetched_like_from_the_real_one(
    server: clearml_server.ClearMLServer,
) -> None:
    for exchange in FILES:
        headers = {"Content-Type": exchange.content_type} if exchange.content_type else {}
        body = (exchange.request or "").encode()
        url = server.files_url + exchange.path
        answer = requests.request(exchange.method, url, data=body, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()) == (exchange.status, exchange.response)


def test_files__path_outside_of_the_directory__is_refused(server: clearml_server.ClearMLServer) -> None:
    upload = requests.post(server.files_url, files={"/../outside.txt": b"x"}, timeout=30)
    assert upload.status_code == 404


def test_seeds__all__go_before_an_exchange_of_the_recording() -> None:
    assert set(replay.seeds()) <= {exchange.n for exchange in API}


def test_recording__endpoints__are_all_served_but_those_the_real_one_refused(answers: Answers) -> None:
    missing = {e.endpoint for e in API if answers[e.n][0] == 404}
    assert missing == {"nosuch.thing", "tasks.nosuch", "tasks.unarchive", "workers.get_runtime_properties"}
