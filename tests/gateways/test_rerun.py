"""A rerun on a ClearML server and a GitHub: its original, its report, and what it must not write to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership, pipeline_runs, run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.operations import rerun
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git, proposed
from steps import report
from tests.gateways import services

NONCE = "0123456789abcdef" * 2


@dataclass(frozen=True)
class World:
    """A pull request, the project of its checks, and hands to start original and rerun."""

    client: Client
    clearml: ClearML
    hub: Hub
    project: str

    @property
    def check(self) -> Check:
        pull = PullRequest(FULL_NAME, 1, ("x",), self.hub.server.api_url, base="main")
        head = git(self.hub.clone, "rev-parse", "better")
        return Check(head, pull, "", "", (Gate("accuracy", "validation", tolerance=3.0),), "Best")

    def run(self, arguments: dict[str, str], *, origin: str = NONCE) -> Run:
        items = {n: {"section": "Args", "name": n, "value": v} for n, v in {**arguments, "_origin": origin}.items()}
        run = self.client.call(
            "tasks.create", name="pr_check", type="controller", project=self.project, hyperparams={"Args": items}
        )["id"]
        self.client.call("tasks.started", task=run)
        return pipeline_runs.read(self.clearml, run)

    def draft(self) -> None:
        """The template that the first run of a version registers holds that run's own Args."""
        item = {"section": "Args", "name": "_origin", "value": NONCE}
        given = {"type": "controller", "project": self.project, "hyperparams": {"Args": {"_origin": item}}}
        self.client.call("tasks.create", name="pr_check", **given)

    def rerun(self, **edits: str) -> Run:
        """A rerun of an original that was just made."""
        arguments = self.check.to_arguments()
        self.run(arguments)
        return self.run({**arguments, **edits})

    def report(self, run: Run, outcome: str = "passed") -> Any:
        results: dict[str, dict[str, Any]] = {
            "find_task": {"candidate": None, "reason": "it was not run", "rejected": []},
            "compare": {"outcome": outcome, "reason": "why", "gates": [], "warnings": []},
        }
        for name, result in results.items():
            step = self.client.call(
                "tasks.create", name=name, type="data_processing", project=self.project, parent=run.id
            )["id"]
            ownership.mark(self.clearml, step, run=run.id, purpose="step")
            run_results.store(self.clearml, step, result)
        return report.report(services.of_agent(self.clearml), run)

    def comments(self) -> list[str]:
        return [comment.body for comment in self.hub.repository.get_issue(1).get_comments()]

    def statuses(self) -> list[tuple[str, str]]:
        found = self.hub.repository.get_commit(self.check.commit).get_statuses()
        return [(status.state, status.description) for status in found]


@pytest.fixture
def world(
    tmp_path: Path, clearml: ClearML, client: Client, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    hub = proposed(tmp_path)
    project = client.call("projects.create", name=f"{prefix}/{FULL_NAME}/.pipelines/pr_check")["id"]
    monkeypatch.setenv("GITHUB_API_URL", hub.server.api_url)
    monkeypatch.setenv("GITHUB_TOKEN", hub.server.token("workflow", repository=FULL_NAME, permissions=JOB))
    yield World(client, clearml, hub, project)
    hub.server.stop()


def test_of__oldest_run_with_the_nonce__is_the_original(world: World) -> None:
    first, second, third = (world.run({"goal": goal}) for goal in ("a", "b", "c"))
    assert rerun.of(world.clearml, first) is None
    reruns = [rerun.of(world.clearml, run) for run in (second, third)]
    assert [(found.original.id, found.changes) for found in reruns if found] == [
        (first.id, ("goal a → b",)),
        (first.id, ("goal a → c",)),
    ]
    assert all(found.by for found in reruns if found)


@pytest.mark.parametrize("origin", ["", "f" * 32])
def test_of__run_without_an_earlier_one__is_no_rerun(world: World, origin: str) -> None:
    world.run({})
    assert rerun.of(world.clearml, world.run({}, origin=origin)) is None


def test_of__first_run_of_a_template__is_no_rerun_of_it(world: World) -> None:
    world.draft()
    first, second = world.run({}), world.run({})
    assert rerun.of(world.clearml, first) is None
    rerun_ = rerun.of(world.clearml, second)
    assert rerun_ and rerun_.original.id == first.id


def test_report__rerun__updates_comment_and_status_and_is_stamped(world: World) -> None:
    rerun_ = world.rerun(threshold_percent="5")
    done = world.report(rerun_)
    stamp = f"rerun by {done['verdict']['rerun']['by']} with threshold_percent 3 → 5"
    assert done["verdict"]["rerun"]["said"] == stamp
    (comment,) = world.comments()
    assert stamp.removeprefix("rerun by ") in comment.replace("\\", "")
    assert world.statuses()[0] == ("failure", f"no evidence ({stamp}): it was not run")
    properties = world.client.call("tasks.get_by_id", task=rerun_.id)["task"]["hyperparams"]["properties"]
    assert properties["rerun"]["value"] == stamp


def close(hub: Hub) -> None:
    hub.repository.get_pull(1).edit(state="closed")


def merge(hub: Hub) -> None:
    hub.repository.get_pull(1).merge()


def push(hub: Hub) -> None:
    hub.commit("better", text="newer\n")


@pytest.mark.parametrize(
    ("since", "words"),
    [(close, "pull request #1 is closed"), (merge, "pull request #1 is merged"), (push, "has moved on to")],
    ids=["closed", "merged", "moved-on"],
)
def test_report__rerun_of_a_pull_request_that_went_on__says_so_and_writes_nothing(
    world: World, since: Any, words: str
) -> None:
    rerun_ = world.rerun()
    before = world.statuses()
    old = world.check.commit
    since(world.hub)
    done = world.report(rerun_)
    assert (done["posted"], world.comments()) == (False, [])
    assert words in done["warnings"][0]
    assert any(words in warning for warning in done["verdict"]["warnings"])
    assert [(s.state) for s in world.hub.repository.get_commit(old).get_statuses()] == [state for state, _ in before]


def test_report__rerun_whose_parameters_cannot_be_read__is_a_fault_and_an_error_on_github(world: World) -> None:
    done = world.report(world.rerun(commit=" "))
    assert done["fault"].startswith("commit is empty")
    assert (done["verdict"]["outcome"], done["verdict"]["commit"]) == ("error", world.check.commit)
    state, description = world.statuses()[0]
    assert state == "error"
    assert description.startswith("error (rerun by ")
    assert "commit" in done["verdict"]["rerun"]["said"]


def test_report__first_run_whose_parameters_cannot_be_read__is_a_fault(world: World) -> None:
    run = world.run({**world.check.to_arguments(), "commit": ""})
    with pytest.raises(UsageError, match="commit is empty"):
        world.report(run)


def test_report__rerun_without_credentials_on_its_agent__judges_and_says_that_nothing_was_posted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    done = world.report(world.rerun())
    assert done["posted"] is False
    assert "no GITHUB_TOKEN and no GitHub App" in done["verdict"]["warnings"][-1]
    assert done["verdict"]["outcome"] == "no_evidence"


def test_report__rerun_in_another_project__must_not_write(world: World, client: Client, prefix: str) -> None:
    elsewhere = replace(world, project=client.call("projects.create", name=f"{prefix}/other")["id"])
    with pytest.raises(UsageError, match="must not report to the repository"):
        elsewhere.report(elsewhere.rerun())
