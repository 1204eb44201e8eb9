"""One step of a pipeline as an agent runs it, in a process of its own, and the requests that it sent to ClearML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox.runtime.clearml_access import Client

ROOT = Path(__file__).parents[1]


def create_run(client: Client, *, project: str, name: str, arguments: Mapping[str, str]) -> str:
    """Create the controller task that a step reads its parameters from; return its id."""
    return _create(client, name=name, kind="controller", project=project, arguments=arguments)


def create(client: Client, *, project: str, run: str, name: str) -> str:
    """Create the started task of a step of `run`, marked as the controller does; return its id."""
    step = _create(client, name=name, kind="data_processing", project=project, parent=run, arguments={})
    mark = {"clearml_ci_task": step, "clearml_ci_run": run, "clearml_ci_purpose": "step"}
    client.call("tasks.edit", task=step, runtime=mark)
    client.call("tasks.started", task=step)
    return step


def execute(name: str, task: str, environment: Mapping[str, str], *, run: str, earlier: Sequence[str] = ()) -> None:
    """Run the step of this name to its end, after the tasks of `earlier` ones; exits with the output if it fails."""
    bare = {key: value for key, value in os.environ.items() if not key.startswith(("CLEARML_", "GITHUB_", "GH_"))}
    done = subprocess.run(
        [sys.executable, "-m", f"steps.{name}", run, *earlier],
        cwd=ROOT,
        env={**bare, **environment, "CLEARML_TASK_ID": task, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{name} failed: {done.stdout}{done.stderr}")


def requests_sent(client: Client, task: str) -> int:
    """Return the number of requests that the step recorded in its result."""
    (step,) = client.call("tasks.get_all", id=[task], only_fields=["configuration.result"])["tasks"]
    return int(json.loads(step["configuration"]["result"]["value"])["requests"])


def _create(client: Client, *, kind: str, arguments: Mapping[str, str], **task: str) -> str:
    items = {name: {"section": "Args", "name": name, "value": value} for name, value in arguments.items()}
    created = client.call("tasks.create", type=kind, hyperparams={"Args": items}, **task)
    return str(created["id"])
