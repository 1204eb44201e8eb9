"""The real SDK session against a ClearML server."""

import re
import socket
import time
from typing import Any, cast

import pytest

from clearml_ci.clearml_api import (
    paging,
    pipeline_runs,
    pipeline_templates,
    project_lookup,
    run_cancellation,
    run_results,
    task_inputs,
    task_metrics,
    task_parameters,
    task_records,
    worker_queues,
)
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate, Summary
from clearml_ci.core.git_source import Source
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.conftest import COMMIT, Project

GATE = Gate("accuracy", "validation")
LOSS = Gate("loss", "train", goal="minimize")


def commit_tasks(clearml: ClearML, project: Project, **more: Any) -> list[str]:
    found = task_records.of_commit(clearml, **{"commit": COMMIT, "task_name": "", **more}, project=project.id)
    return [task.id for task in found]


def test_tasks_of_commit__many_tasks__finds_those_of_the_commit_in_one_request(
    clearml: ClearML, project: Project
) -> None:
    project.task(commit="d" * 40)
    mine = [project.task(), project.task(end="failed")]
    before = clearml.requests
    assert sorted(commit_tasks(clearml, project)) == sorted(mine)
    assert clearml.requests == before + 1


def test_tasks_of_commit__newest__comes_first(clearml: ClearML, project: Project) -> None:
    older = project.task()
    time.sleep(0.01)
    newer = project.task()
    assert commit_tasks(clearml, project) == [newer, older]


def test_tasks_of_commit__more_than_a_page__are_asked_for_only_when_they_are_needed(
    clearml: ClearML, project: Project
) -> None:
    for _ in range(paging.PAGE + 1):
        project.task(end=None)
    before = clearml.requests
    tasks = task_records.of_commit(clearml, commit=COMMIT, project=project.id, task_name="")
    next(tasks)
    assert clearml.requests == before + 1
    assert len(list(tasks)) == paging.PAGE
    assert clearml.requests == before + 2


def test_tasks_of_commit__task_name__is_matched_exactly(clearml: ClearML, project: Project) -> None:
    mine = project.task(name="train (v1.0)")
    project.task(name="train (v1.0) again")
    project.task(name="train (v1x0)")
    assert commit_tasks(clearml, project, task_name="train (v1.0)") == [mine]


def test_tasks_of_commit__recorded_task__carries_what_decides(clearml: ClearML, project: Project) -> None:
    script = {"repository": "https://github.com/o/n.git", "version_num": COMMIT, "diff": "changed"}
    task = project.task(script=script)
    project.client.call("tasks.archive", tasks=[task])
    found = list(task_records.of_commit(clearml, commit=COMMIT, project=project.id, task_name=""))
    assert [(one.id, one.commit, one.diff, one.archived, one.status) for one in found] == [
        (task, COMMIT, "changed", True, "completed")
    ]
    assert (found[0].project, found[0].project_id) == (project.name, project.id)
    assert re.search(f"/projects/{project.id}/(tasks|experiments)/{task}/output/log$", found[0].url)


def test_best_tasks__tagged_ones__come_with_their_whole_curves_extremes(clearml: ClearML, project: Project) -> None:
    best = project.task(tags=["Best"])
    project.report(best, 0.5, 0.9, 0.7)
    project.task(tags=["other"])
    failed = project.task(tags=["Best"], end="failed")
    found = task_records.tagged(clearml, projects=[project.id], task_name="train", tag="Best", gates=[GATE])
    assert {task.id: task.status for task, _ in found} == {best: "completed", failed: "failed"}
    summary = next(reported[GATE] for task, reported in found if task.id == best)
    assert summary is not None
    assert (summary.last, summary.minimum, summary.maximum) == (0.7, 0.5, 0.9)


def test_metrics_of__several_tasks_and_gates__come_in_one_request(clearml: ClearML, project: Project) -> None:
    first, second = project.task(), project.task()
    project.report(first, 0.5, 0.25, title="loss", series="train")
    project.report(second, 0.75)
    before = clearml.requests
    found = task_records.with_metrics(clearml, [first, second], [GATE, LOSS])
    assert clearml.requests == before + 1
    assert list(found) == [first, second]
    assert found[first][1] == {GATE: None, LOSS: Summary("loss", "train", 0.25, 0.25, 0.5)}
    assert found[second][1] == {GATE: Summary("accuracy", "validation", 0.75, 0.75, 0.75), LOSS: None}
    assert (found[first][0].id, found[first][0].commit) == (first, COMMIT)


def test_metrics_of__task_that_is_gone__is_told(clearml: ClearML, project: Project) -> None:
    with pytest.raises(ClearMLError, match=f"no ClearML task {'0' * 32}"):
        task_records.with_metrics(clearml, [project.task(), "0" * 32], [GATE])


def test_task_inputs__two_tasks__come_in_one_request(clearml: ClearML, client: Client, project: Project) -> None:
    script = {
        "repository": "https://github.com/o/n.git",
        "version_num": COMMIT,
        "requirements": {"pip": "# Python 3.11\n\nscikit_learn == 1.5.2\n"},
    }
    model = client.call("models.create", uri="http://h/m", name="base")["id"]
    full = project.task(
        script=script,
        end=None,
        hyperparams={
            "Args": {"lr": {"section": "Args", "name": "lr", "value": "0.1"}},
            "Datasets": {"train": {"section": "Datasets", "name": "train", "value": "d1"}},
            "properties": {"note": {"section": "properties", "name": "note", "value": "x"}},
        },
        models={"input": [{"name": "base", "model": model}]},
    )
    client.call("tasks.edit", task=full, runtime={"gpu_type": "A100"}, force=True)
    bare = project.task()
    before = clearml.requests
    found = task_inputs.read(clearml, [full, bare])
    assert clearml.requests == before + 1
    assert found == {
        full: Inputs(
            {"Args/lr": "0.1"}, {"scikit-learn": "1.5.2"}, {"Datasets/train": "d1", "models/base": model}, "A100"
        ),
        bare: Inputs({}, {}, {}),
    }


def test_curves__tasks__cost_one_request_each_and_leave_out_what_has_no_curve(
    clearml: ClearML, project: Project
) -> None:
    first, second = project.task(), project.task()
    project.report(first, 0.5, 0.75, 1.0)
    project.report(first, 0.5, 0.25, title="loss", series="train")
    project.report(second, 0.25)
    before = clearml.requests
    found = task_metrics.curves(clearml, {first: [GATE, LOSS], second: [GATE, LOSS]})
    assert clearml.requests == before + 2
    assert found == {
        (first, GATE): ((0.0, 0.5), (1.0, 0.75), (2.0, 1.0)),
        (first, LOSS): ((0.0, 0.5), (1.0, 0.25)),
        (second, GATE): ((0.0, 0.25),),
        (second, LOSS): (),
    }


def test_scalars__machine_monitoring__is_left_out(clearml: ClearML, project: Project) -> None:
    task = project.task()
    project.report(task, 0.5)
    project.report(task, 80.0, title=":monitor:machine", series="cpu")
    assert task_metrics.series_names(clearml, task) == ["accuracy/validation"]


def test_existing_project_id__misspelt__offers_the_nearest(clearml: ClearML, project: Project) -> None:
    assert project_lookup.existing_id(clearml, project.name) == project.id
    with pytest.raises(UsageError) as raised:
        project_lookup.existing_id(clearml, project.name + "s")
    assert f"no ClearML project '{project.name}s'; did you mean '{project.name}'?" in str(raised.value)


def test_watched_queues__unknown_and_unwatched__are_told_apart(clearml: ClearML, client: Client, prefix: str) -> None:
    client.call("queues.create", name=f"{prefix}-idle")
    with pytest.raises(UsageError, match=f"no queue '{prefix}-gpuu'; queues with workers: "):
        worker_queues.served(clearml, [f"{prefix}-gpuu"])
    with pytest.raises(ClearMLError, match=f"no worker listens to the queue '{prefix}-idle'"):
        worker_queues.served(clearml, [f"{prefix}-idle"])
    names = [queue["name"] for queue in client.call("queues.get_all", only_fields=["name"])["queues"]]
    assert f"{prefix}-gpuu" not in names  # ClearML creates a queue that is only asked for by name


def test_template__asked_twice__is_registered_once_and_started_as_a_clone(
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
    run = pipeline_runs.start(clearml, template=template, queue=queue, arguments={"commit": COMMIT})
    try:
        assert run != template
        assert pipeline_runs.read(clearml, run).arguments["commit"] == COMMIT
        assert pipeline_templates.find_or_register(clearml, **where) == (template, False)
    finally:
        run_cancellation.stop(clearml, run, reason="the test is over", clock=fast_clock())
    assert pipeline_runs.read(clearml, run).status == "stopped"


def test_template__other_commit_of_this_project__is_another_template(clearml: ClearML, prefix: str) -> None:
    templates = {
        pipeline_templates.find_or_register(
            clearml, project=f"{prefix} CI", name="pr_check", source=Source("https://h/o/n.git", commit), arguments={}
        )[0]
        for commit in ("1" * 40, "2" * 40)
    }
    assert len(templates) == 2


def test_stop__run_with_running_and_queued_steps__ends_them_all(
    clearml: ClearML, client: Client, project: Project, prefix: str
) -> None:
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=run)
    running = project.step(run, "find_task")
    client.call("tasks.started", task=running)
    queued = project.step(run, "compare")
    queue = client.call("queues.create", name=f"{prefix}-queue")["id"]
    client.call("tasks.enqueue", task=queued, queue=queue)
    stranger = project.task(end=None, name="somebody else's")
    client.call("tasks.started", task=stranger)
    run_cancellation.stop(clearml, run, reason="cancelled", clock=fast_clock())
    found = client.call("tasks.get_all", id=[run, running, queued, stranger], only_fields=["id", "status"])["tasks"]
    states = {task["id"]: task["status"] for task in found}
    assert (states[run], states[running]) == ("stopped", "stopped")
    assert states[queued] in ("stopped", "created")
    assert states[stranger] == "in_progress"
    assert client.call("queues.get_by_id", queue=queue)["queue"]["entries"] == []


def test_stop__agent_that_died_with_its_task__does_not_keep_it_running(
    clearml: ClearML, client: Client, project: Project, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a worker was seen on it lately, `tasks.stop` only asks, forced or not."""
    monkeypatch.setattr(run_cancellation, "STOPS_WITHIN", 1.5)
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=run)
    client.call("workers.register", worker=f"{prefix}:gone", queues=[])
    client.call("workers.status_report", worker=f"{prefix}:gone", timestamp=int(time.time() * 1000), task=run)
    client.call("tasks.stop", task=run, force=True)
    assert pipeline_runs.read(clearml, run).status == "in_progress"
    run_cancellation.stop(clearml, run, reason="cancelled", clock=fast_clock())
    assert pipeline_runs.read(clearml, run).status == "stopped"


def test_result__stored_by_a_step__is_read_through_its_run(clearml: ClearML, client: Client, project: Project) -> None:
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    step = project.step(run, "find_task")
    clone = client.call("tasks.clone", task=step, new_task_parent=run)["id"]
    rerun = client.call("tasks.create", name="pr_check #2", type="controller", project=project.id, parent=run)["id"]
    run_results.store(clearml, step, {"candidate": None, "reason": "ünïcode"})
    found = run_results.steps(clearml, run)
    assert {name: one.result for name, one in found.items()} == {"find_task": {"candidate": None, "reason": "ünïcode"}}
    assert not {rerun, clone} & {one.id for one in found.values()}


def test_publish_verdict__run__carries_artifact_and_properties(
    clearml: ClearML, client: Client, project: Project
) -> None:
    run = client.call("tasks.create", name="pr_check #1", type="controller", project=project.id)["id"]
    client.call("tasks.started", task=run)
    verdict = {
        "outcome": "passed",
        "exit_reason": "why",
        "commit": COMMIT,
        "pull_request": 7,
        "rerun": {"said": "rerun by Ada"},
    }
    run_results.publish_verdict(clearml, run, cast("VerdictDocument", verdict))
    found = client.call("tasks.get_by_id", task=run)["task"]
    (artifact,) = [one for one in found["execution"]["artifacts"] if one["key"] == "verdict"]
    assert b'"outcome": "passed"' in client.download(artifact["uri"])
    told = {name: item["value"] for name, item in found["hyperparams"]["properties"].items()}
    assert (told["outcome"], told["rerun"]) == ("passed", "rerun by Ada")


@pytest.mark.parametrize("act", [pipeline_runs.read, run_results.steps, task_metrics.scalars])
def test_gateway__empty_id__is_refused_before_it_is_asked(clearml: ClearML, act: Any) -> None:
    before = clearml.requests
    with pytest.raises(ClearMLError, match="an empty task id"):
        act(clearml, "")
    assert clearml.requests == before


def test_run__unknown_id__is_told(clearml: ClearML) -> None:
    with pytest.raises(ClearMLError, match=f"no ClearML task {'0' * 32}"):
        pipeline_runs.read(clearml, "0" * 32)


def test_call__refused__tells_the_servers_own_words(clearml: ClearML) -> None:
    with pytest.raises(ClearMLError, match=r"tasks\.create: the ClearML server refused: "):
        clearml.call("tasks.create", name="ab", type="training")


def test_connect__wrong_keys__are_told_without_showing_them(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "not-the-secret")
    with pytest.raises(ClearMLError, match="refused the keys") as raised:
        clearml_session.connect()
    assert "not-the-secret" not in str(raised.value)
    assert user_environment["CLEARML_API_ACCESS_KEY"] not in str(raised.value)


@pytest.mark.usefixtures("user_environment")
def test_connect__no_server__is_told_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setenv("CLEARML_API_HOST", address)
    began = time.monotonic()
    with pytest.raises(ClearMLError, match=f"no ClearML server answers at {address}"):
        clearml_session.connect()
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("address", ["not an address", "localhost:1", "http://"])
@pytest.mark.usefixtures("user_environment")
def test_connect__address_that_is_none__is_told(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", address)
    with pytest.raises(ClearMLError, match=f"no ClearML server answers at {address.rstrip('/')}"):
        clearml_session.connect()


def test_connect__another_web_server__is_no_clearml(
    user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLEARML_API_HOST", user_environment["CLEARML_WEB_HOST"])
    with pytest.raises(ClearMLError, match=r"no ClearML server answers at \S+ \(HTTP \d+\)"):
        clearml_session.connect()


@pytest.mark.usefixtures("user_environment")
def test_connect__no_web_address_to_be_told__names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLEARML_WEB_HOST")
    monkeypatch.setenv("CLEARML_API_HOST", "http://clearml.example:9999")
    with pytest.raises(UsageError, match="set CLEARML_WEB_HOST"):
        clearml_session.connect()


def again(client: Client, run: str, queue: str, **edits: str) -> str:
    """What the web UI's New run sends."""
    args = [{"name": name, "value": value} for name, value in edits.items()]
    return str(client.call("pipelines.start_pipeline", task=run, queue=queue, args=args)["pipeline"])


def test_run__rerun_of_a_rerun__keeps_the_parameters_that_new_run_hides(
    clearml: ClearML, client: Client, project: Project, prefix: str
) -> None:
    """ClearML's server escapes the names of what it clones once more each time, and reads them wrong in the end."""
    given = {"threshold_percent": "3", "_context": "{}", "_origin": "n"}
    run = client.call("tasks.create", name="pr_check", type="controller", project=project.id)["id"]
    client.call("tasks.edit_hyper_params", task=run, hyperparams=task_parameters.section_items("Args", given))
    queue = client.call("queues.create", name=f"{prefix}-reruns")["id"]
    for threshold in ("4", "5", "6"):
        run = again(client, run, queue, threshold_percent=threshold)
    wanted = {**given, "threshold_percent": "6"}
    assert pipeline_runs.read(clearml, run).arguments == wanted
    client.call("tasks.started", task=run)
    pipeline_runs.restore_parameter_names(clearml, run)
    stored = client.call("tasks.get_by_id", task=run)["task"]["hyperparams"]["Args"]
    assert {name: item["value"] for name, item in stored.items()} == wanted
    client.call("tasks.stopped", task=run, force=True)
    next_one = again(client, again(client, run, queue, threshold_percent="7"), queue, threshold_percent="8")
    assert pipeline_runs.read(clearml, next_one).arguments == {**wanted, "threshold_percent": "8"}
