"""The local ClearML server against what the real web UI 2.0.0 sends to a real server, click by click.

`web-ui-exchanges.jsonl` holds a part of the recording: of each shape of a request the first one, and every change.
Its lists are cut to three items, and its long texts. The user who clicks has the name of the recording's other user.
`web-ui-seeds.jsonl` makes the objects that the recording begins with, and does what agents did meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.runtime.clearml_access import Access, Client
from sandbox.servers import clearml_server
from sandbox.testing.web_ui import WebUI
from sandbox.tests.contract import replay

Answers = dict[int, tuple[int, replay.Record]]
ALL = replay.exchanges("web-ui-exchanges.jsonl")
CUT = 3  # items of a recorded list

SHAPE_ONLY = {
    1: "lists the real server's users",
    4: "names the real server's user",
    7: "names the real server's user",
    9: "lists pipelines of other sandboxes",
    13: "in the order of the real server's database",
    17: "names the real server's user",
}


def _name(exchange: replay.Exchange) -> str:
    return f"{exchange.n}-{exchange.endpoint}"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    server = clearml_server.start(tmp_path_factory.mktemp("files"))
    player = replay.Replay(server.api_url, (server.access_key, server.secret_key))
    player.begin()
    seeds = replay.seeds("web-ui-seeds.jsonl")
    played = {}
    for exchange in ALL:
        for seed in seeds.get(exchange.n, []):
            player.plant(seed)
        played[exchange.n] = player.play(exchange)
    yield played
    server.stop()


@pytest.mark.parametrize("exchange", ALL, ids=_name)
def test_answer__to_a_click_of_the_web_ui__is_like_the_real_one(answers: Answers, exchange: replay.Exchange) -> None:
    status, answer = answers[exchange.n]
    recorded = exchange.response
    assert status == exchange.status, answer
    assert {key: answer["meta"][key] for key in recorded["meta"]} == recorded["meta"]
    data, ours = recorded["data"], _cut(recorded["data"], answer["data"])
    if exchange.n in SHAPE_ONLY:
        data, ours = replay.shape(data), replay.shape(ours)
    assert list(replay.differences(data, ours)) == []


def _cut(recorded: Any, ours: Any) -> Any:
    """Our answer with its lists as long as the recorded ones, where those were cut."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        return {key: _cut(recorded[key], value) if key in recorded else value for key, value in ours.items()}
    if isinstance(recorded, list) and isinstance(ours, list):
        kept = ours[:CUT] if len(recorded) == CUT else ours
        return [_cut(first, second) for first, second in zip(recorded, kept, strict=False)] + kept[len(recorded) :]
    return ours


class _Noted(WebUI):
    """A client that notes the fields of each request."""

    def __init__(self, access: Access) -> None:
        self.sent: list[tuple[str, frozenset[str]]] = []
        super().__init__(access)

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        self.sent.append((endpoint, frozenset(body)))
        return super().call(endpoint, **body)


def test_client__each_click__sends_requests_of_recorded_shapes(tmp_path: Path) -> None:
    server = clearml_server.start(tmp_path)
    access = Access.from_environment(server.environment())
    ui, client = _Noted(access), Client(access)
    project = client.call("projects.create", name="Checks/.pipelines/check")["id"]
    args = {"alpha": {"section": "Args", "name": "alpha", "value": "1"}}
    first = client.call(
        "tasks.create", name="check", type="controller", project=project, hyperparams={"Args": args}, tags=["tag"]
    )["id"]
    run = ui.new_run(project, queue="default")
    ui.abort(run)
    ui.continue_(run)
    ui.abort(ui.run_row(run, alpha="2"))
    draft = ui.clone(first)
    ui.edit_parameter(draft, "alpha", "3")
    ui.enqueue_draft(draft, queue="default")
    ui.reset(draft)
    ui.add_tag(draft, "another")
    ui.remove_tag(draft, "tag")
    ui.rename(draft, "another name")
    ui.abort(run)
    ui.publish(run)
    ui.archive(draft)
    ui.restore(draft)
    ui.delete(draft)
    ui.list_runs(project, tag="tag")
    ui.list_runs(project, statuses=["completed"], archived=True)
    ui.console(run)
    ui.plots(run)
    ui.step_states(run)
    server.stop()
    recorded = {(e.endpoint, frozenset(e.request)) for e in ALL if isinstance(e.request, dict)}
    assert set(ui.sent) - recorded == set()
