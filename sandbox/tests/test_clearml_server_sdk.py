"""The real SDK against the local ClearML server: what a training script and a pipeline's author do.

The SDK keeps its session and its current task in globals, so each script runs in a process of its own and prints
what it saw as JSON on its last line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import requests

from sandbox.servers import clearml_server
from sandbox.servers.clearml_server import ClearMLServer

TRAINING = """
    from clearml import OutputModel, Task
    task = Task.init("Digits", "train", reuse_last_task_id=False)
    task.connect({"lr": 0.3})
    logger = task.get_logger()
    for iteration, accuracy in enumerate([0.5, 0.9, 0.7]):
        logger.report_scalar("accuracy", "validation", accuracy, iteration)
    logger.report_single_value("final", 0.7)
    logger.report_text("a line of the console")
    logger.report_table("confusion", "matrix", 0, table_plot=[["a", "b"], [1, 2]])
    task.upload_artifact("metrics", {"mAP": 0.71})
    task.set_user_properties(reviewed="yes")
    with open("weights.bin", "wb") as weights:
        weights.write(b"weights")
    OutputModel(task, name="digits").update_weights("weights.bin", auto_delete_file=False)
    task.close()
    print(json.dumps({"id": task.id, "page": task.get_output_log_web_page()}))
"""
HELPERS = """
    import json, subprocess, sys
    from clearml import Task
    from clearml.backend_api.session.client import APIClient

    def call(endpoint, **request):
        answer = APIClient().session.send_request(*endpoint.split("."), json=request)
        return answer.json()["data"]

    def show(**seen):
        print(json.dumps(seen))
"""
CONFIGURATION = "sdk { development { report_use_subprocess: false, store_uncommitted_code_diff: true } }\n"


@pytest.fixture(scope="module")
def clearml_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a configuration of its own, and a git repository with one commit."""
    home = tmp_path_factory.mktemp("home")
    (home / "clearml.conf").write_text(CONFIGURATION)
    (home / "train.py").write_text(dedent(HELPERS) + dedent(TRAINING))
    (home / ".gitignore").write_text("*\n!train.py\n")
    author = ["-c", "user.name=Author", "-c", "user.email=author@example.org"]
    for command in (["init", "-q"], ["add", "-f", "train.py"], [*author, "commit", "-qm", "Train"]):
        subprocess.run(["git", *command], cwd=home, check=True)
    return home


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClearMLServer]:
    running = clearml_server.start(tmp_path_factory.mktemp("files"))
    yield running
    running.stop()


def _run(server: ClearMLServer, home: Path, script: Path | str) -> dict[str, Any]:
    """Return the last line that the script printed. It does not see the user's own ClearML settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CLEARML_", "TRAINS_"))}
    own = {"HOME": str(home), "CLEARML_CONFIG_FILE": str(home / "clearml.conf")}
    code = [str(script)] if isinstance(script, Path) else ["-c", dedent(HELPERS) + dedent(script)]
    ran = subprocess.run(
        [sys.executable, *code],
        cwd=home,
        env={**kept, **own, **server.environment()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    seen: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return seen


@pytest.fixture(scope="module")
def trained(server: ClearMLServer, clearml_home: Path) -> dict[str, Any]:
    return _run(server, clearml_home, clearml_home / "train.py")


@pytest.fixture(scope="module")
def commit(clearml_home: Path) -> str:
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clearml_home, check=True, capture_output=True)
    return done.stdout.decode().strip()


def test_training_script__run__is_read_back_whole(
    server: ClearMLServer, clearml_home: Path, trained: dict[str, Any]
) -> None:
    script = f"""
        task = Task.get_task(task_id="{trained["id"]}")
        show(status=task.get_status(), parameters=task.get_parameters(), last=task.get_last_scalar_metrics(),
             curve=task.get_reported_scalars()["accuracy"]["validation"]["x"],
             single=task.get_reported_single_values(), artifact=task.artifacts["metrics"].get(),
             properties=task.get_user_properties()["reviewed"]["value"], plots=len(task.get_reported_plots()),
             log="".join(task.get_reported_console_output(5)),
             model=open(task.models["output"][-1].get_local_copy()).read())
    """
    seen = _run(server, clearml_home, script)
    assert seen.pop("log").count("a line of the console") == 1
    assert seen == {
        "status": "completed",
        "parameters": {"General/lr": "0.3", "properties/reviewed": "yes"},
        "last": {
            "accuracy": {"validation": {"last": 0.7, "min": 0.5, "max": 0.9}},
            "Summary": {"final": {"last": 0.7, "min": 0.7, "max": 0.7}},
        },
        "curve": [0, 1, 2],
        "single": {"final": 0.7},
        "artifact": {"mAP": 0.71},
        "properties": "yes",
        "plots": 1,
        "model": "weights",
    }


def test_task__of_a_commit__is_found_by_that_commit_alone(
    server: ClearMLServer, clearml_home: Path, trained: dict[str, Any], commit: str
) -> None:
    script = f"""
        def found(commit):
            pattern = {{"fields": ["script.version_num"], "pattern": f"^{{commit}}$"}}
            return Task.query_tasks(project_name="Digits", task_filter={{"_all_": pattern, "status": ["completed"]}})
        show(same=found("{commit}"), other=found("0" * 40))
    """
    assert _run(server, clearml_home, script) == {"same": [trained["id"]], "other": []}


def test_tags__added_and_removed__are_found_by_and_or_not(server: ClearMLServer, clearml_home: Path) -> None:
    script = """
        tasks = {tags: Task.create("Tags", f"task {tags}", "testing") for tags in ("a", "b", "ab")}
        for tags, task in tasks.items():
            task.set_tags(list(tags))
        call("tasks.update_tags", ids=[tasks["ab"].id], add_tags=["c"], remove_tags=["a"])
        names = {task.id: tags for tags, task in tasks.items()}
        def found(*tags):
            return sorted(names[task] for task in Task.query_tasks(project_name="Tags", tags=list(tags)))
        show(any=found("a", "b"), all=found("__$all", "b", "c"), no=found("b", "-c"), without=found("__$not", "b"),
             ab=Task.get_task(task_id=tasks["ab"].id).get_tags())
    """
    assert _run(server, clearml_home, script) == {
        "any": ["a", "ab", "b"],
        "all": ["ab"],
        "no": ["b"],
        "without": ["a"],
        "ab": ["b", "c"],
    }


START_PIPELINE = """
    from clearml import PipelineController
    template = PipelineController.create("Checks", "pr check", repo="file:///nowhere", commit="1" * 40,
                                         script="pipeline.py", packages=["clearml"])
    Task.get_task(task_id=template.id).set_parameters({"Args/commit": "none", "Args/_context": "{}"})
    queue = call("queues.get_all", name="^default$", only_fields=["id"])["queues"][0]["id"]
    start = dict(task=template.id, queue=queue, verify_watched_queue=True)
    runs = [call("pipelines.start_pipeline", args=[{"name": "commit", "value": n}], **start) for n in ("7", "8")]
    run = runs[0]["pipeline"]
"""


def test_start_pipeline__from_a_template__makes_a_numbered_run_with_its_arguments(
    server: ClearMLServer, clearml_home: Path
) -> None:
    script = f"""{START_PIPELINE}
    tasks = call("tasks.get_all", id=[r["pipeline"] for r in runs], order_by=["created"])["tasks"]
    waiting = call("queues.get_by_id", queue=queue)["queue"]["entries"]
    show(names=[task["name"] for task in tasks], status=[task["status"] for task in tasks],
         args=Task.get_task(task_id=run).get_parameters(), watched=runs[0]["queue_watched"],
         waiting=[entry["task"] for entry in waiting] == [r["pipeline"] for r in runs],
         parents=[task["parent"] for task in tasks] == [template.id] * 2)
    """
    seen = _run(server, clearml_home, script)
    args = {name: value for name, value in seen.pop("args").items() if name.startswith("Args/")}
    assert args == {"Args/commit": "7", "Args/_context": "{}"}
    assert seen == {
        "names": ["pr check #2", "pr check #3"],
        "status": ["queued", "queued"],
        "watched": False,
        "waiting": True,
        "parents": True,
    }


@pytest.mark.parametrize(("served", "step_status"), [(True, "stopped"), (False, "queued")], ids=["2.31", "2.29"])
def test_stop__of_a_run_with_its_steps__depends_on_the_server_version(
    tmp_path: Path, clearml_home: Path, served: bool, step_status: str
) -> None:
    server = clearml_server.start(tmp_path, include_pipeline_steps=served)
    script = f"""{START_PIPELINE}
    step = Task.create("Checks/.pipelines/pr check", "a step", "testing")
    step.set_parent(run)
    call("tasks.enqueue", task=step.id, queue_name="no worker here")
    call("tasks.stop", task=run, include_pipeline_steps=True)
    show(run=Task.get_task(task_id=run).get_status(), step=Task.get_task(task_id=step.id).get_status(),
         entries=len(call("queues.get_all", name="no worker")["queues"][0]["entries"]))
    """
    seen = _run(server, clearml_home, script)
    server.stop()
    assert seen == {"run": "stopped", "step": step_status, "entries": int(not served)}


def test_page__of_a_task__shows_it_and_escapes_what_it_holds(
    server: ClearMLServer, clearml_home: Path, trained: dict[str, Any]
) -> None:
    _run(server, clearml_home, f"""Task.get_task(task_id="{trained["id"]}").add_tags(["<b>"]); show()""")
    page = requests.get(trained["page"], timeout=30).text
    for expected in ("accuracy", "validation", "0.9", "a line of the console", "metrics.json", "&lt;b&gt;", "<svg"):
        assert expected in page
    assert "<b>" not in page


def test_page__of_a_pipeline_run__lists_its_steps(server: ClearMLServer, clearml_home: Path) -> None:
    script = f"""{START_PIPELINE}
    step = Task.create("Checks/.pipelines/pr check", "compare models", "testing")
    step.set_parent(run)
    show(run=run, step=step.id)
    """
    seen = _run(server, clearml_home, script)
    page = requests.get(f"{server.web_url}/pipelines/any/experiments/{seen['run']}/output/log", timeout=30).text
    assert f'experiments/{seen["step"]}">compare models</a>' in page
    assert requests.get(f"{server.web_url}/projects/any/experiments/nosuch", timeout=30).status_code == 404


def test_credentials__wrong__are_refused(server: ClearMLServer) -> None:
    refused = requests.get(f"{server.api_url}/tasks.get_all", auth=("wrong", "keys"), timeout=30)
    assert (refused.status_code, refused.json()["meta"]["result_subcode"]) == (401, 22)
    token = requests.get(f"{server.api_url}/tasks.get_all", headers={"Authorization": "Bearer x"}, timeout=30)
    assert (token.status_code, token.json()["meta"]["result_subcode"]) == (401, 30)


def test_continued_task__second_start__keeps_the_first_start_and_the_last_end(
    server: ClearMLServer, clearml_home: Path
) -> None:
    """ClearML's server does so (apiserver/services/tasks.py: min__started); `tasks.reset` alone clears both."""
    script = """
        task = Task.create("Digits", "continued")
        times = []
        for end in ("stopped", "completed"):
            call("tasks.started", task=task.id, force=True)
            times.append(call("tasks.get_by_id", task=task.id)["task"])
            call(f"tasks.{end}", task=task.id, force=True)
        show(first=times[0]["started"], again=times[1]["started"], ended="completed" in times[1])
    """
    seen = _run(server, clearml_home, script)
    assert seen["first"] == seen["again"]
    assert seen["ended"]
