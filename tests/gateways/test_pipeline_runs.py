"""Templates, runs and their results on a ClearML server."""

from dataclasses import dataclass
from typing import Any, cast

import pytest

from clearml_ci.clearml_api import (
    pipeline_runs,
    pipeline_templates,
    run_cancellation,
    run_results,
    run_start,
    task_metrics,
    task_parameters,
    worker_queues,
)
from clearml_ci.clearml_api.pipeline_code import PipelineCode
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.git_source import Source
from clearml_ci.core.outcome import Outcome
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.conftest import COMMIT, Project
from tests.gateways.services import leave_result

SOURCE = Source("https://github.com/o/clearml-ci.git", "e" * 40)


def test_find_or_register__requested_twice__is_registered_once_and_started_as_a_clone(
    clearml: ClearML, client: Client, prefix: str
) -> None:
    source = Source("https://github.com/o/clearml-ci.git", "e" * 40)
    where: dict[str, Any] = {
        "project": f"{prefix} CI",
        "name": "pr_check",
        "source": source,
        "arguments": {"commit": ""},
    }
    template, registered = pipeline_templates.find_or_register(clearml, **where)
    assert (registered, pipeline_templates.find_or_register(clearml, **where)) == (True, (template, False))
    queue = worker_queues.Queue(
        client.call("queues.create", name=f"{prefix}-none")["id"], f"{prefix}-none", frozenset()
    )
    run = run_start.start(clearml, template=template, queue=queue, arguments={"commit": COMMIT}, clock=fast_clock())
    try:
        assert run != template
        assert pipeline_runs.read(clearml, run).arguments["commit"] == COMMIT
        assert pipeline_templates.find_or_register(clearml, **where) == (template, False)
    finally:
        run_cancellation.stop(clearml, run, reason="the test is over", clock=fast_clock())
    assert pipeline_runs.read(clearml, run).status == "stopped"


EDITS: dict[str, dict[str, Any]] = {
    "diff": {"script": {"diff": "+import os"}},
    "entry-point": {"script": {"entry_point": "tests/evil.py"}},
    "folder": {"script": {"working_dir": "tests"}},
    "binary": {"script": {"binary": "bash -c evil"}},
    "packages": {"script": {"requirements": {"pip": "evil"}}},
    "setup-script": {"container": {"setup_shell_script": "evil"}},
    "image": {"container": {"image": "evil"}},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_find_or_register__template_that_was_edited__is_not_used(
    clearml: ClearML, client: Client, prefix: str, edit: dict[str, Any]
) -> None:
    """Whoever has keys of the server can edit a draft: its mark, repository and commit stay."""
    where: dict[str, Any] = {"project": f"{prefix} CI", "name": "pr_check", "source": SOURCE, "arguments": {}}
    template, _ = pipeline_templates.find_or_register(clearml, **where)
    task = client.call("tasks.get_by_id", task=template)["task"]
    client.call("tasks.edit", task=template, **{field: {**task[field], **new} for field, new in edit.items()})
    other, registered = pipeline_templates.find_or_register(clearml, **where)
    assert registered and other != template
    assert pipeline_templates.find_or_register(clearml, **where) == (other, False)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_start__template_that_was_edited_since__is_stopped(
    clearml: ClearML, client: Client, prefix: str, edit: dict[str, Any]
) -> None:
    where: dict[str, Any] = {"project": f"{prefix} CI", "name": "pr_check", "source": SOURCE, "arguments": {}}
    template, _ = pipeline_templates.find_or_register(clearml, **where)
    name = f"{prefix}-none"
    queue = worker_queues.Queue(client.call("queues.create", name=name)["id"], name, frozenset())
    given: dict[str, Any] = {
        "template": template,
        "queue": queue,
        "arguments": {},
        "code": PipelineCode(SOURCE, "pr_check"),
    }
    run = run_start.start(clearml, clock=fast_clock(), **given)
    assert pipeline_runs.read(clearml, run).status == "queued"
    task = client.call("tasks.get_by_id", task=template)["task"]
    client.call("tasks.edit", task=template, **{field: {**task[field], **new} for field, new in edit.items()})
    with pytest.raises(ClearMLError, match=r"would not execute the code of ClearML CI: .* was edited, and the run was"):
        run_start.start(clearml, clock=fast_clock(), **given)
    ids = client.call("tasks.get_all", project=[task["project"]], type=["controller"], search_hidden=True)["tasks"]
    states = {found["id"]: pipeline_runs.read(clearml, found["id"]).status for found in ids}
    assert sorted(states.values()) == ["created", "queued", "stopped"] and states[run] == "queued"
    client.call("tasks.dequeue", task=run)


def test_find_or_register__template__is_hidden_in_the_list_and_its_runs_are_not(
    clearml: ClearML, client: Client, prefix: str
) -> None:
    where: dict[str, Any] = {"project": f"{prefix} CI/o/n", "name": "pr_check", "arguments": {}}
    old, _ = pipeline_templates.find_or_register(clearml, source=Source("https://h/o/n.git", "1" * 40), **where)
    # as an earlier version of ClearML CI left it
    client.call("tasks.unarchive_many", ids=[old])
    client.call("tasks.update", task=old, tags=["mine"])
    (project,) = client.call("projects.get_all", name=f"{prefix} CI/o/n/.pipelines", search_hidden=True)["projects"][
        -1:
    ]
    client.call("projects.update", project=project["id"], tags=["mine"])
    template, registered = pipeline_templates.find_or_register(clearml, source=SOURCE, **where)
    assert registered and pipeline_templates.find_or_register(clearml, source=SOURCE, **where) == (template, False)
    found = {task: client.call("tasks.get_by_id", task=task)["task"] for task in (old, template)}
    assert all("archived" in task["system_tags"] for task in found.values())
    assert [found[old]["tags"], found[template]["tags"]] == [["mine", "template"], ["template"]]
    (project,) = client.call("projects.get_all", id=[project["id"]], search_hidden=True)["projects"]
    assert project["tags"] == ["mine", "o/n"]
    queue = client.call("queues.create", name=f"{prefix}-hidden")["id"]
    run = new_run(client, template, queue)
    assert "archived" not in client.call("tasks.get_by_id", task=run)["task"]["system_tags"]
    client.call("tasks.delete", task=template, force=True)
    assert pipeline_templates.find_or_register(clearml, source=SOURCE, **where)[1]


@dataclass
class Killed(ClearML):
    """The session of a job that is killed before its first request of this endpoint."""

    at: str = ""

    def call(self, endpoint: str, **request: Any) -> Any:
        if endpoint == self.at:
            raise KeyboardInterrupt
        return super().call(endpoint, **request)


@pytest.mark.parametrize("at", ["tasks.edit_hyper_params", "tasks.edit"])
def test_find_or_register__after_a_job_that_was_killed_meanwhile__leaves_one_template_and_each_run(
    clearml: ClearML, client: Client, prefix: str, at: str
) -> None:
    where: dict[str, Any] = {"project": f"{prefix} CI", "name": "pr_check", "arguments": {"commit": ""}}
    with pytest.raises(KeyboardInterrupt):
        pipeline_templates.find_or_register(Killed(clearml.host, clearml.authorization, at=at), source=SOURCE, **where)
    project = client.call("projects.get_all", name=f"{prefix} CI/.pipelines/pr_check", search_hidden=True)["projects"]
    key = {"Args": {"_start": {"section": "Args", "name": "_start", "value": "1"}}}
    place: dict[str, Any] = {"project": project[0]["id"], "type": "controller"}
    kept = [client.call("tasks.create", name="Clone Of pr_check", **place)["id"]]
    kept.append(client.call("tasks.create", name="pr_check", hyperparams=key, **place)["id"])
    template, registered = pipeline_templates.find_or_register(clearml, source=SOURCE, **where)
    found = client.call("tasks.get_all", project=[project[0]["id"]], only_fields=["id"], search_hidden=True)["tasks"]
    assert registered
    assert {task["id"] for task in found} == {template, *kept}


def test_find_or_register__other_job_deletes_the_draft_and_registers__uses_that_one(
    clearml: ClearML, prefix: str
) -> None:
    where: dict[str, Any] = {
        "project": f"{prefix} CI",
        "name": "pr_check",
        "source": SOURCE,
        "arguments": {"commit": ""},
    }
    others: list[str] = []

    @dataclass
    class Slow(ClearML):
        def call(self, endpoint: str, **request: Any) -> Any:
            if endpoint == "tasks.edit_hyper_params":
                others.append(pipeline_templates.find_or_register(clearml, **where)[0])
            return super().call(endpoint, **request)

    found, _ = pipeline_templates.find_or_register(Slow(clearml.host, clearml.authorization), **where)
    assert [found] == others


def test_find_or_register__other_commit_of_this_project__is_another_template(clearml: ClearML, prefix: str) -> None:
    templates = {
        pipeline_templates.find_or_register(
            clearml, project=f"{prefix} CI", name="pr_check", source=Source("https://h/o/n.git", commit), arguments={}
        )[0]
        for commit in ("1" * 40, "2" * 40)
    }
    assert len(templates) == 2


def test_result__stored_by_a_step__is_read_through_its_run(clearml: ClearML, client: Client, project: Project) -> None:
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    step = project.step(run, "find_task")
    project.step(run, "no step of ours")
    clone = client.call("tasks.clone", task=step, new_task_parent=run)["id"]
    rerun = client.call("tasks.create", name="pr_check #2", type="controller", project=project.id, parent=run)["id"]
    run_results.store(clearml, step, {"candidate": None, "reason": "ünïcode"})
    found = run_results.steps(clearml, run)
    assert {name: step.result for name, step in found.items()} == {
        "find_task": {"candidate": None, "reason": "ünïcode"}
    }
    assert not {rerun, clone} & {step.id for step in found.values()}


@pytest.mark.parametrize("storage", ["the file server", "another storage"])
def test_publish_verdict__run__carries_artifacts_properties_tag_and_description(
    clearml: ClearML, client: Client, project: Project, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On any other storage than ClearML's file server the SDK stores it."""
    if storage == "another storage":
        monkeypatch.setattr("clearml_ci.clearml_api.configuration.files_host", lambda: "")
    run = client.call(
        "tasks.create", name="pr_check #1", type="controller", project=project.id, tags=["regressed", "mine"]
    )["id"]
    client.call("tasks.started", task=run)
    verdict = {
        "outcome": Outcome.PASSED,
        "exit_reason": "why",
        "commit": COMMIT,
        "pull_request": 7,
        "accepted": [],
        "rerun": {"said": "rerun by Ada"},
    }
    run_results.publish_verdict(clearml, run, cast("VerdictDocument", verdict), "### the report")
    found = client.call("tasks.get_by_id", task=run)["task"]
    artifacts = {item["key"]: item for item in found["execution"]["artifacts"]}
    assert b'"outcome": "passed"' in client.download(artifacts["verdict"]["uri"])
    assert client.download(artifacts["report"]["uri"]) == b"### the report"
    assert artifacts["report"]["type_data"]["preview"] == "### the report"
    properties = {name: item["value"] for name, item in found["hyperparams"]["properties"].items()}
    assert (properties["outcome"], properties["rerun"]) == ("passed", "rerun by Ada")
    assert (found["tags"], found["comment"]) == (["mine", "passed"], "passed: why (rerun by Ada)")


@pytest.mark.parametrize("act", [pipeline_runs.read, run_results.steps, task_metrics.scalars])
def test_read__empty_id__is_refused_before_a_request(clearml: ClearML, act: Any) -> None:
    before = clearml.requests
    with pytest.raises(ClearMLError, match=r"an empty task id: .*; rerun with the id"):
        act(clearml, "")
    assert clearml.requests == before


def test_read__unknown_id__is_reported(clearml: ClearML) -> None:
    with pytest.raises(ClearMLError, match=f"no ClearML task {'0' * 32}: .*; start a new run"):
        pipeline_runs.read(clearml, "0" * 32)


def new_run(client: Client, run: str, queue: str, **edits: str) -> str:
    """What the web UI's New run sends."""
    args = [{"name": name, "value": value} for name, value in edits.items()]
    return str(client.call("pipelines.start_pipeline", task=run, queue=queue, args=args)["pipeline"])


def test_read__rerun_of_a_rerun__keeps_the_parameters_that_new_run_hides(
    clearml: ClearML, client: Client, project: Project, prefix: str
) -> None:
    """ClearML's server escapes the names of what it clones once more each time, and reads them wrong in the end."""
    given = {"threshold_percent": "3", "_context": "{}", "_origin": "n"}
    run = client.call("tasks.create", name="pr_check", type="controller", project=project.id)["id"]
    client.call("tasks.edit_hyper_params", task=run, hyperparams=task_parameters.section_items("Args", given))
    queue = client.call("queues.create", name=f"{prefix}-reruns")["id"]
    for threshold in ("4", "5", "6"):
        run = new_run(client, run, queue, threshold_percent=threshold)
    expected = {**given, "threshold_percent": "6"}
    assert pipeline_runs.read(clearml, run).arguments == expected
    client.call("tasks.started", task=run)
    pipeline_runs.restore_parameter_names(clearml, run)
    stored = client.call("tasks.get_by_id", task=run)["task"]["hyperparams"]["Args"]
    assert {name: item["value"] for name, item in stored.items()} == expected
    client.call("tasks.stopped", task=run, force=True)
    latest = new_run(client, new_run(client, run, queue, threshold_percent="7"), queue, threshold_percent="8")
    assert pipeline_runs.read(clearml, latest).arguments == {**expected, "threshold_percent": "8"}


def test_describe_arguments__run_that_new_run_started__shows_help_and_keeps_the_values(
    clearml: ClearML, client: Client, project: Project
) -> None:
    run = client.call("tasks.create", name="pr_check", type="controller", project=project.id)["id"]
    given = task_parameters.section_items("Args", {"goal": "minimize", "mine": "1"})
    client.call("tasks.edit_hyper_params", task=run, hyperparams=given)
    client.call("tasks.started", task=run)
    help_texts = {"goal": "The direction that is better.", "promote": "When the tag moves."}
    defaults = {"promote": "better", "goal": "maximize"}
    pipeline_runs.describe_arguments(clearml, run, defaults=defaults, descriptions=help_texts)
    stored = client.call("tasks.get_by_id", task=run)["task"]["hyperparams"]["Args"]
    assert [(name, item["value"], item.get("description", "")) for name, item in stored.items()] == [
        ("promote", "better", "When the tag moves."),
        ("goal", "minimize", "The direction that is better."),
        ("mine", "1", ""),
    ]


def test_read__with_steps__has_those_that_are_its_own_in_the_same_request(clearml: ClearML, project: Project) -> None:
    run, other = project.run(pull_request="7"), project.run(pull_request="8")
    first, second, foreign = (
        project.step(run, "find_task"),
        project.step(run, "remote_run"),
        project.step(other, "compare"),
    )
    leave_result(clearml, first, {"candidate": {"id": "abc"}})
    before = clearml.requests
    found = pipeline_runs.read(clearml, run, steps=[second, foreign, first, "0" * 32])
    assert [step["id"] for step in found.steps] == [first, second]
    assert run_results.earlier(clearml, found)["find_task"]["candidate"] == {"id": "abc"}
    assert clearml.requests == before + 1
