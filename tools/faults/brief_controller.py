"""A controller that only starts the steps of a pipeline, in a fraction of a second: for cases that harm something else.

The pipeline's own file is run, with its own parameters and plan; only what the SDK's PipelineController would do is
done by a few calls, which go directly to the server.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api.session import PATIENCE
from tools.faults.agent import Server

POLL = 0.15  # seconds
ENDED = ("completed", "published", "closed", "failed", "stopped")
Plan = Callable[[Mapping[str, str]], Mapping[str, list[str]]]


def main() -> None:
    vars(importlib.import_module("clearml_ci.agent.controller"))["run"] = run
    runpy.run_path(sys.argv[1], run_name="__main__")


def run(name: str, *, parameters: Mapping[str, str], plan: Plan) -> None:  # noqa: ARG001  as the product calls it
    """Start each step when those that it waits for have ended, until all have."""
    server, own = Server(), os.environ["CLEARML_TASK_ID"]
    if not _is_followed(server, own):
        server.call("tasks.stopped", task=own, force=True, status_reason="its job does not follow it")
        return
    task = server.call("tasks.get_by_id", task=own)["task"]
    _mark(server, own, run=own, purpose="run")
    if _is_superseded(task):
        server.call("tasks.stopped", task=own, force=True, status_reason="superseded")
        return
    given = {**parameters, **_arguments(task)}
    items = [{"section": "Args", "name": key, "value": value, "type": "str"} for key, value in given.items()]
    server.call("tasks.edit_hyper_params", task=own, hyperparams=items, force=True, replace_hyperparams="section")
    waiting, started = dict(plan(given)), dict[str, str]()
    while waiting or not _all_ended(server, started.values()):
        ready = [step for step, parents in waiting.items() if _all_ended(server, _ids(started, parents))]
        for step in ready:
            del waiting[step]
            started[step] = _start(server, task, step, queue=given["_steps_queue"])
        time.sleep(POLL)


def _is_followed(server: Server, run: str) -> bool:
    """False if the job does not learn of its run in time; nothing is written before, as by the product's controller."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if pipeline_runs.is_known_to_its_job(server.call("tasks.get_by_id", task=run)["task"]):
            return True
        time.sleep(POLL)
    return False


def _ids(started: Mapping[str, str], steps: list[str]) -> list[str]:
    """The tasks of these steps; a step that was not started yet has none, and is never seen to end."""
    return [started.get(step, "not started") for step in steps]


def _all_ended(server: Server, tasks: Any) -> bool:
    ids = list(tasks)
    if not ids:
        return True
    found = server.call("tasks.get_all", id=ids, only_fields=["id", "status"], search_hidden=True)["tasks"]
    return len(found) == len(ids) and all(task["status"] in ENDED for task in found)


def _start(server: Server, controller: Mapping[str, Any], step: str, *, queue: str) -> str:
    script = controller["script"]
    own = {key: script[key] for key in ("repository", "version_num") if key in script}
    made = server.call(
        "tasks.create",
        name=step,
        type="data_processing",
        project=controller["project"],
        parent=controller["id"],
        script={**own, "entry_point": f"steps/{step}.py", "working_dir": ".", "diff": ""},
        hyperparams={"Args": {"run": {"section": "Args", "name": "run", "value": controller["id"], "type": "str"}}},
    )["id"]
    _mark(server, made, run=controller["id"], purpose="step")
    (found,) = server.call("queues.get_all", name=f"^{queue}$", only_fields=["id"])["queues"]
    server.call("tasks.enqueue", task=made, queue=found["id"])
    return str(made)


def _mark(server: Server, task: str, *, run: str, purpose: str) -> None:
    mark = {"clearml_ci_task": task, "clearml_ci_run": run, "clearml_ci_purpose": purpose}
    present = server.call("tasks.get_by_id", task=task)["task"].get("runtime") or {}
    server.call("tasks.edit", task=task, runtime={**present, **mark}, force=True)


def _arguments(task: Mapping[str, Any]) -> dict[str, str]:
    """Clones escape a leading underscore once more each time: `%%_origin`."""
    items = ((task.get("hyperparams") or {}).get("Args") or {}).items()
    return {key.lstrip("%") if key.lstrip("%").startswith("_") else key: item.get("value") or "" for key, item in items}


def _is_superseded(task: Mapping[str, Any]) -> bool:
    item = ((task.get("hyperparams") or {}).get("properties") or {}).get("superseded_by") or {}
    return str(item.get("value") or "").endswith(f" instead of {task['id']}")


if __name__ == "__main__":
    main()
