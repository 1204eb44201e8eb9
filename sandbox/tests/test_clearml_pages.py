"""The pages of the local ClearML server, and the client of the web UI's clicks against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from sandbox.runtime.clearml_access import Access, ClearMLError, Client
from sandbox.servers import clearml_server
from sandbox.servers.clearml_server import ClearMLServer
from sandbox.testing.web_ui import WebUI

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClearMLServer]:
    running = clearml_server.start(tmp_path_factory.mktemp("files"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def access(server: ClearMLServer) -> Access:
    return Access.from_environment(server.environment())


@pytest.fixture(scope="module")
def client(access: Access) -> Client:
    return Client(access)


@pytest.fixture(scope="module")
def ui(access: Access) -> WebUI:
    return WebUI(access)


@pytest.fixture
def pipeline(client: Client, request: pytest.FixtureRequest) -> str:
    """The project of a pipeline of the test's own."""
    name = f"{request.node.name[:60]}/.pipelines/check"
    return str(client.call("projects.create", name=name, system_tags=["pipeline", "hidden"])["id"])


def run_in(client: Client, pipeline: str, name: str = "PR 1", **fields: Any) -> str:
    """A run that has ended, with two parameters and a hidden one."""
    args = {"zeta": "3", "_context": "{}", "alpha": "x"}
    items = {n: {"section": "Args", "name": n, "value": v, "description": f"about {n}"} for n, v in args.items()}
    made = client.call(
        "tasks.create",
        name=name,
        type="controller",
        project=pipeline,
        system_tags=["pipeline"],
        hyperparams={"Args": items},
        **fields,
    )["id"]
    client.call("tasks.enqueue", task=made, queue_name="default")
    client.call("tasks.started", task=made)
    client.call("tasks.completed", task=made, status_message="worse than the baseline")
    return str(made)


def plot(client: Client, task: str, metric: str, figure: object) -> None:
    text = figure if isinstance(figure, str) else json.dumps(figure)
    client.events([{"type": "plot", "task": task, "metric": metric, "variant": "v", "iter": 0, "plot_str": text}])


def page_of(server: ClearMLServer, path: str) -> str:
    answer = requests.get(f"{server.web_url}{path}", timeout=30)
    assert answer.ok, answer.text
    return answer.text


def test_runs__of_a_pipeline__are_those_of_the_ui_and_a_tag_filters_them(
    server: ClearMLServer, client: Client, ui: WebUI, pipeline: str
) -> None:
    regressed = run_in(client, pipeline, "PR 1 · wider", tags=["regressed", "PR 1"])
    passed = run_in(client, pipeline, "PR 2 · deeper", tags=["passed", HOSTILE])
    archived = run_in(client, pipeline, "PR 3 · old")
    ui.archive(archived)
    shown = page_of(server, f"/pipelines/{pipeline}/tasks")
    assert [name in shown for name in ("PR 1 · wider", "PR 2 · deeper", "PR 3 · old")] == [True, True, False]
    assert HOSTILE not in shown
    filtered = page_of(server, f"/pipelines/{pipeline}/tasks?tag=regressed")
    assert ("PR 1 · wider" in filtered, "PR 2 · deeper" in filtered) == (True, False)
    assert [run["id"] for run in ui.list_runs(pipeline, tag="regressed")] == [regressed]
    assert {run["id"] for run in ui.list_runs(pipeline)} == {regressed, passed}
    assert "PR 3 · old" in page_of(server, f"/pipelines/{pipeline}/tasks?archived=1")


def test_list_runs__more_than_a_page__are_all_there_once(client: Client, ui: WebUI, pipeline: str) -> None:
    made = {run_in(client, pipeline, f"PR {number}") for number in range(100, 161)}
    found = [run["id"] for run in ui.list_runs(pipeline)]
    assert (len(found), set(found)) == (61, made)


def test_page__of_a_run__draws_plots_in_the_order_of_the_ui_and_escapes_them(
    server: ClearMLServer, client: Client, pipeline: str
) -> None:
    run = run_in(client, pipeline, comment="2 of 3 gates hold")
    line = {"type": "scatter", "mode": "lines", "name": f"main {HOSTILE}", "x": [1, 2, 3], "y": [0.5, 0.75, None]}
    bars = {"type": "bar", "name": "share", "x": ["a", "b"], "y": [1, 2]}
    columns = [["<b>Outcome</b>", HOSTILE], ['<a href="https://x.example/1">run</a>', '<a href="javascript:x">no</a>']]
    plot(client, run, "b Curves", {"data": [line, bars, {"type": "sankey"}], "layout": {"xaxis": {"title": "epoch"}}})
    plot(
        client,
        run,
        "A Verdict",
        {"data": [{"type": "table", "header": {"values": ["Gate", ["Limit"]]}, "cells": {"values": columns}}]},
    )
    plot(client, run, "c Broken", "no JSON")
    shown = page_of(server, f"/pipelines/{pipeline}/tasks/{run}")
    assert shown.index("A Verdict") < shown.index("b Curves") < shown.index("c Broken")
    for expected in ("<b>Outcome</b>", '<a href="https://x.example/1"', "<polyline", "<rect", "epoch", "Not drawn"):
        assert expected in shown
    assert (HOSTILE in shown, 'href="javascript:' in shown) == (False, False)
    for text in ("2 of 3 gates hold", "worse than the baseline", "about zeta"):
        assert text in shown


@pytest.mark.parametrize("x", [[1], [1, 1], [1e300, -1e300], ["2026-01-01", "2026-01-02"], []])
def test_page__of_an_odd_chart__is_drawn(server: ClearMLServer, client: Client, pipeline: str, x: list[Any]) -> None:
    run = run_in(client, pipeline)
    plot(client, run, "odd", {"data": [{"type": "scatter", "x": x, "y": [float(len(x))] * len(x)}]})
    assert "odd" in page_of(server, f"/pipelines/{pipeline}/tasks/{run}")


def test_new_run_form__of_a_row__shows_the_dialogs_parameters_and_starts_a_run(
    server: ClearMLServer, client: Client, pipeline: str
) -> None:
    run = run_in(client, pipeline)
    address = f"{server.web_url}/pipelines/{pipeline}/run"
    form = requests.get(f"{address}?task={run}", timeout=30).text
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form))
    assert [name for name in fields if name.startswith("arg ")] == ["arg zeta", "arg alpha"]
    queue = client.call("queues.get_all", name="^default$")["queues"][0]["id"]
    sent = {**fields, "arg zeta": "50", "queue": queue}
    started = requests.post(address, data=sent, timeout=30)
    assert (started.ok, 'value="50"' in form) == (True, False)
    task = client.call("tasks.get_by_id", task=started.url.rsplit("/", 1)[1])["task"]
    args = {name: item["value"] for name, item in task["hyperparams"]["Args"].items()}
    assert (task["status"], args) == ("queued", {"zeta": "50", "_context": "{}", "alpha": "x"})
    assert requests.post(address, data={**sent, "token": "of another site"}, timeout=30).status_code == 403


def test_client__edit_of_a_draft__writes_the_whole_section_with_hidden_names(
    client: Client, ui: WebUI, pipeline: str
) -> None:
    draft = ui.clone(run_in(client, pipeline, comment="of the first"))
    ui.edit_parameter(draft, "alpha", "y")
    shown = ui.details(draft)
    args = {name: item["value"] for name, item in shown["hyperparams"]["Args"].items()}
    assert args == {"_context": "{}", "alpha": "y", "zeta": "3"}
    assert (shown["status"], shown["comment"], shown["name"]) == ("created", "of the first", "Clone Of PR 1")


def test_client__what_the_server_refuses_in_a_batch__is_an_error(client: Client, ui: WebUI, pipeline: str) -> None:
    run = run_in(client, pipeline)
    ui.publish(run)
    with pytest.raises(ClearMLError, match=r"tasks\.publish_many: Invalid task status"):
        ui.publish(run)
    ui.archive(run)
    with pytest.raises(ClearMLError, match="At least one pipeline run should be left"):
        ui.delete(run)


def test_client__tags__removing_one_loses_what_was_added_meanwhile(client: Client, ui: WebUI, pipeline: str) -> None:
    run = run_in(client, pipeline, tags=["one", "two"])
    ui.add_tag(run, "added meanwhile")
    ui.remove_tag(run, "one", shown=["one", "two"])
    assert ui.details(run)["tags"] == ["two"]
    ui.rename(run, "another name")
    assert ui.details(run)["name"] == "another name"
