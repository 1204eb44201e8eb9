"""A project of a test's own on the ClearML server, and the product's session with that server."""

from dataclasses import dataclass
from typing import Any

import pytest

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML
from sandbox.runtime import quick_sdk
from sandbox.runtime.clearml_access import Client
from tests.clock import fast_clock
from tests.gateways.controllers import Controllers

COMMIT = "c" * 40

quick_sdk.read_no_source()


@pytest.fixture
def clearml(user_environment: dict[str, str]) -> ClearML:  # noqa: ARG001  the session reads it
    return clearml_session.connect(fast_clock())


@dataclass(frozen=True)
class Project:
    """A project of the test's own, and a hand to put tasks into it."""

    client: Client
    id: str
    name: str

    def task(self, *, commit: str = COMMIT, name: str = "train", end: str | None = "completed", **more: Any) -> str:
        script = {"repository": "https://github.com/o/n.git", "version_num": commit, "diff": ""}
        fields = {"type": "training", "script": script, **more}
        created = self.client.call("tasks.create", name=name, project=self.id, **fields)["id"]
        if end:
            self.client.call("tasks.started", task=created)
            self.client.call(f"tasks.{end}", task=created)
        return str(created)

    def step(self, run: str, name: str) -> str:
        """A draft step of a run, marked as the controller does."""
        step = self.task(end=None, name=name, parent=run)
        mark = {"clearml_ci_task": step, "clearml_ci_run": run, "clearml_ci_purpose": "step"}
        self.client.call("tasks.edit", task=step, runtime=mark)
        return step

    def run(self, *, pull_request: str, **more: str) -> str:
        """A marked run of a pull request, in progress."""
        given = {"pull_request": pull_request, **more}
        arguments = {name: {"section": "Args", "name": name, "value": value} for name, value in given.items()}
        run = self.task(end=None, name="pr_check", type="controller", hyperparams={"Args": arguments})
        mark = {"clearml_ci_task": run, "clearml_ci_run": run, "clearml_ci_purpose": "run"}
        self.client.call("tasks.edit", task=run, runtime=mark)
        self.client.call("tasks.started", task=run)
        return run

    def report(self, task: str, *values: float, title: str = "accuracy", series: str = "validation") -> None:
        self.client.events(
            [
                {
                    "type": "training_stats_scalar",
                    "task": task,
                    "iter": iteration,
                    "metric": title,
                    "variant": series,
                    "value": value,
                    "allow_locked": True,
                }
                for iteration, value in enumerate(values)
            ]
        )


@pytest.fixture
def project(client: Client, prefix: str) -> Project:
    name = f"{prefix} digits"
    return Project(client, client.call("projects.create", name=name)["id"], name)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let urllib3 repeat a request at once."""
    monkeypatch.setattr("urllib3.util.retry.time.sleep", lambda _: None)


@pytest.fixture
def controllers(clearml: ClearML, client: Client, prefix: str) -> Controllers:
    client.call("queues.create", name=f"{prefix}-steps")
    return Controllers(clearml, client, f"{prefix}/o/n/.pipelines/pr_check", f"{prefix}-steps")
