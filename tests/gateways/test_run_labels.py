"""Name, tags and description of a run on a ClearML server, and what a clone copies of them."""

import json
from typing import Any

import pytest

from clearml_ci.clearml_api import acceptance_ledger, run_labels, run_outcome, run_start
from clearml_ci.clearml_api.promotion_ledger import MOVED_TAG
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.outcome import Outcome
from sandbox.runtime.clearml_access import Client
from tests.gateways.conftest import COMMIT

CONTEXT = json.dumps({"title": "Fix it"})


@pytest.fixture
def pipeline(client: Client, prefix: str) -> str:
    return str(client.call("projects.create", name=f"{prefix}/o/n/.pipelines/pr_check")["id"])


def new_run(client: Client, pipeline: str, *, name: str = "pr_check #3", **more: Any) -> str:
    given = {"pull_request": "12", "commit": COMMIT, "_context": CONTEXT}
    items = {key: {"section": "Args", "name": key, "value": value} for key, value in given.items()}
    sections = {"Args": items, **more.pop("hyperparams", {})}
    made = client.call("tasks.create", name=name, type="controller", project=pipeline, hyperparams=sections, **more)
    return str(made["id"])


def seen(client: Client, run: str) -> tuple[str, list[str], str, dict[str, str]]:
    """Name, tags, description and properties of a run."""
    task = client.call("tasks.get_by_id", task=run)["task"]
    properties = task["hyperparams"].get("properties", {})
    return (
        task["name"],
        task["tags"],
        task.get("comment") or "",
        {key: each["value"] for key, each in properties.items()},
    )


@pytest.mark.parametrize("name", ["pr_check", "pr_check #3"])
def test_acknowledge__run_of_a_job__is_named_and_tagged(
    clearml: ClearML, client: Client, pipeline: str, name: str
) -> None:
    run = new_run(client, pipeline, name=name, tags=["template", "mine"])
    for _ in range(2):
        run_start.acknowledge(clearml, run)
        assert seen(client, run)[:3] == (f"PR 12 · Fix it · {COMMIT[:7]}", ["PR 12", "mine"], "")


@pytest.mark.parametrize("name", ["my own", "pr_check #3 again", "PR 7 · Title · 1234567"])
def test_put_in_order__name_that_is_not_the_server_s__stays(
    clearml: ClearML, client: Client, pipeline: str, name: str
) -> None:
    run = new_run(client, pipeline, name=name)
    run_labels.put_in_order(clearml, run, rerun=True)
    assert seen(client, run)[:2] == (name, ["PR 12", "rerun"])


def test_put_in_order__clone__shows_nothing_of_its_source(clearml: ClearML, client: Client, pipeline: str) -> None:
    source = new_run(client, pipeline, tags=["PR 7", MOVED_TAG, acceptance_ledger.TAG, "mine"])
    properties = {
        "outcome": "regressed",
        "exit_reason": "why",
        "rerun": "rerun by Ada",
        "accepted": "by ada",
        "version": "1",
    }
    items = [{"section": "properties", "name": key, "value": value} for key, value in properties.items()]
    client.call("tasks.edit_hyper_params", task=source, hyperparams=items)
    run_outcome.conclude(clearml, source, outcome=Outcome.REGRESSED, sentence="regressed: why")
    run_outcome.conclude(clearml, source, outcome=Outcome.REGRESSED, sentence="regressed: why")
    assert seen(client, source)[1:3] == (
        ["PR 7", acceptance_ledger.TAG, "mine", MOVED_TAG, "regressed"],
        "regressed: why",
    )
    clone = client.call("tasks.clone", task=source)["id"]
    run_labels.put_in_order(clearml, clone, rerun=True)
    cleared = {"outcome": "", "exit_reason": "", "rerun": "", "accepted": "", "version": "1"}
    assert seen(client, clone)[1:] == (["PR 12", "mine", "rerun"], "", cleared)


def test_put_in_order__run_that_was_reset__keeps_its_own_move_and_a_user_s_description(
    clearml: ClearML, client: Client, pipeline: str
) -> None:
    run = new_run(client, pipeline, tags=[MOVED_TAG, "improved"], comment="ours: the good one")
    move = {
        "run": run,
        "action": "promote",
        "state": "done",
        "at": "",
        "tag": "Best",
        "project_id": "p",
        "task_name": "",
        "to": "t",
        "previous": [],
        "pull_request": 12,
        "commit": COMMIT,
        "merge_commit": "",
        "reason": "",
        "undoes": "",
        "name": "",
    }
    item = {"name": "ledger", "type": "json", "value": json.dumps(move)}
    client.call("tasks.edit", task=run, configuration={"ledger": item})
    run_labels.put_in_order(clearml, run, rerun=True)
    assert seen(client, run)[1:3] == (["PR 12", MOVED_TAG, "rerun"], "ours: the good one")


def test_put_in_order__server_that_refuses_the_name__goes_on(
    clearml: ClearML, capsys: pytest.CaptureFixture[str]
) -> None:
    run_labels.put_in_order(clearml, "0" * 32, rerun=False)
    assert "name and tags of the run" in capsys.readouterr().out


def test_set_status_message__run_that_has_ended__is_shown_on_its_page(
    clearml: ClearML, client: Client, pipeline: str
) -> None:
    run = new_run(client, pipeline)
    client.call("tasks.started", task=run)
    client.call("tasks.completed", task=run, status_message="changed by agent", status_reason="worker execution done")
    run_outcome.set_status_message(clearml, run, status="completed", sentence="passed: why")
    task = client.call("tasks.get_by_id", task=run)["task"]
    assert (task["status"], task["status_message"]) == ("completed", "passed: why")
