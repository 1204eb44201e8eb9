"""The posts of a promotion and a rollback on GitHub, and those that a rerun must not make."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership, pipeline_runs, run_results, started_runs
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.core.step_results import StepResult
from clearml_ci.job.reporter import Reporter
from clearml_ci.operations import publish
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git, proposed
from steps import promote, report
from tests.gateways import services
from tests.gateways.conftest import Project
from tests.gateways.job_session import signed_in

NONCE = "0123456789abcdef" * 2
ADDRESS = "https://github.com/o/n.git"
FOREIGN = "f" * 40


@dataclass(frozen=True)
class World:
    """A merged pull request, the project of its promotions, and hands to start runs."""

    client: Client
    clearml: ClearML
    hub: Hub
    project: Project
    pipeline: str

    @property
    def check(self) -> Check:
        pull = self.hub.repository.get_pull(1)
        described = PullRequest(FULL_NAME, 1, (ADDRESS,), self.hub.server.api_url, base="main", default_branch="main")
        gates = (Gate("accuracy", "validation"),)
        check = Check(pull.head.sha, described, self.project.name, "train", gates, "Best")
        return replace(check, action="promote", merge_commit=pull.merge_commit_sha)

    def run(self, check: Check) -> Run:
        """A run as a job starts it."""
        run = self.rerun(check).id
        started_runs.mark(self.clearml, run)
        return pipeline_runs.read(self.clearml, run)

    def rerun(self, check: Check, **edits: str) -> Run:
        """A run as New run starts it."""
        arguments = {**check.to_arguments(), **edits, "_origin": NONCE}
        items = {name: {"section": "Args", "name": name, "value": value} for name, value in arguments.items()}
        run = self.client.call(
            "tasks.create", name="promote", type="controller", project=self.pipeline, hyperparams={"Args": items}
        )["id"]
        self.client.call("tasks.started", task=run)
        return pipeline_runs.read(self.clearml, run)

    def promoted(self, run: Run) -> Any:
        """Run the two steps of a run; return the result of the second."""
        step = self.client.call(
            "tasks.create", name="promote", type="data_processing", project=self.pipeline, parent=run.id
        )["id"]
        ownership.mark(self.clearml, step, run=run.id, purpose="step")
        try:
            result: StepResult = promote.promote(services.of_agent(self.clearml), run)
        except UsageError as error:
            result = {"fault": str(error)}
        run_results.store(self.clearml, step, result)
        return report.report(services.of_agent(self.clearml), run)

    def states(self, commit: str) -> list[str]:
        return [item.state for item in self.hub.repository.get_commit(commit).get_statuses()]

    def comments(self, number: int) -> list[str]:
        return [item.body for item in self.hub.repository.get_issue(number).get_comments()]


@pytest.fixture
def world(
    tmp_path: Path,
    clearml: ClearML,
    client: Client,
    prefix: str,
    project: Project,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    hub = proposed(tmp_path)
    hub.repository.get_pull(1).merge()
    pipeline = client.call("projects.create", name=f"{prefix}/{FULL_NAME}/.pipelines/promote")["id"]
    monkeypatch.setenv("GITHUB_API_URL", hub.server.api_url)
    monkeypatch.setenv("GITHUB_TOKEN", hub.server.token("workflow", repository=FULL_NAME, permissions=JOB))
    made = World(client, clearml, hub, project, pipeline)
    project.report(project.task(commit="b" * 40, tags=["Best"]), 0.8)
    project.report(project.task(commit=made.check.commit), 0.9)
    yield made
    hub.server.stop()


def test_promote__merged__is_told_at_the_merge_commit_and_that_nobody_checked_it(world: World) -> None:
    done = world.promoted(world.run(world.check))
    assert (done["verdict"]["outcome"], world.states(world.check.merge_commit)) == ("passed", ["success"])
    assert done["verdict"]["warnings"] == ["Pull request #1 was never checked: its model was judged only now."]
    (comment,) = world.comments(1)
    assert "the tag 'Best' moved to this commit's task" in comment


def test_rollback__undone__has_a_line_in_the_comment_and_sets_no_status_at_all(world: World) -> None:
    world.promoted(world.run(world.check))
    check = replace(world.check, action="rollback")
    job = Reporter(signed_in(world.hub.server), check)
    job.set_status(state="pending", description="started", url="https://clearml.example")
    job.start_check_run("https://clearml.example")
    done = world.promoted(world.run(check))
    assert job.github is not None
    publish.verdict(job.github, check, done["verdict"], done["markdown"])
    assert publish.check_run(job.github, check, done["verdict"], done["markdown"], started=job.check_run) == ""
    assert (done["verdict"]["outcome"], done["posted"], done["status_set"]) == ("passed", True, False)
    assert world.states(check.merge_commit) == ["success"]  # the promotion's own
    runs = world.hub.repository.get_commit(check.merge_commit).get_check_runs()
    assert all("roll" not in str(item.output.title) for item in runs)
    (comment,) = world.comments(1)
    assert "**Rolled back:**" in comment


def test_rollback__from_the_run_of_another_pull_request__is_told_where_the_undone_one_is(world: World) -> None:
    world.promoted(world.run(world.check))
    world.hub.commit("second", file="second.py", onto="main")
    world.hub.repository.create_pull(title="Second", head="second", base="main", body="")
    elsewhere = replace(world.check.pull_request, number=2)
    check = replace(world.check, action="rollback", pull_request=elsewhere, commit=FOREIGN, merge_commit=FOREIGN)
    done = world.promoted(world.run(check))
    assert (done["verdict"]["pull_request"], done["verdict"]["commit"]) == (1, world.check.commit)
    assert world.comments(2) == []
    assert "**Rolled back:**" in world.comments(1)[0]


@pytest.mark.parametrize("name", ["merge_commit", "commit"])
def test_promote__rerun_with_a_commit_that_is_not_the_merged_one__is_refused_and_writes_nothing(
    world: World, name: str
) -> None:
    world.run(world.check)
    foreign = git(world.hub.clone, "rev-parse", "main")
    done = world.promoted(world.rerun(world.check, **{name: foreign}))
    assert done["verdict"]["outcome"] == "error"
    assert f"not {'as' if name == 'merge_commit' else 'at'} {foreign[:10]}" in done["verdict"]["exit_reason"]
    assert (done["posted"], world.states(foreign), world.comments(1)) == (False, [], [])
    assert "was merged" in done["verdict"]["warnings"][-1]


def test_promote__rerun_of_the_same__goes_on(world: World) -> None:
    world.run(world.check)
    done = world.promoted(world.rerun(world.check))
    assert (done["verdict"]["outcome"], done["posted"]) == ("passed", True)
    assert world.states(world.check.merge_commit) == ["success"]


def test_promote__merged_into_another_branch__is_refused(world: World) -> None:
    pull = replace(world.check.pull_request, default_branch="trunk")
    with pytest.raises(UsageError, match="pull request #1 was merged into 'main', not into 'trunk'"):
        promote.promote(services.of_agent(world.clearml), world.run(replace(world.check, pull_request=pull)))


@pytest.mark.parametrize("change", [{"merge_commit": FOREIGN}, {"pull_request": "2"}, {"commit": FOREIGN}])
def test_promote__github_cannot_be_asked__refuses_a_rerun_that_names_another_merge(
    world: World, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    check = world.check
    monkeypatch.delenv("GITHUB_TOKEN")
    first = world.run(check)
    rerun = world.rerun(check, **change)
    (name,) = change
    with pytest.raises(UsageError, match=f"this rerun changes {name}, and GitHub cannot confirm"):
        promote.promote(services.of_agent(world.clearml), rerun)
    assert promote.promote(services.of_agent(world.clearml), world.run(check))["promotion"]["moved"] is True
    assert promote.promote(services.of_agent(world.clearml), first)["outcome"] == "passed"


def test_promote__github_that_refuses__is_noted_by_the_original_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = world.check
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_wrong")
    result = promote.promote(services.of_agent(world.clearml), world.run(check))
    assert result["promotion"]["moved"] is True
    assert "GitHub refused pull request #1" in result["notes"][0]


def test_promote__on_pass_in_a_rerun_of_a_closed_pull_request__keeps_the_tag(world: World) -> None:
    """The check's own step: the original moves the tag, and a rerun asks GitHub before it does."""
    check = replace(world.check, action="check", merge_commit="", promote="on-pass", gates=())
    runs = [world.run(check), world.rerun(check)]
    candidate = world.project.task(commit=check.commit)
    for run in runs:
        found = {"candidate": {"id": candidate, "project_id": world.project.id}}
        run_results.store(world.clearml, world.project.step(run.id, "find_task"), found)
    original, rerun = runs
    kept = promote.promote(services.of_agent(world.clearml), rerun)
    assert kept["reason"] == "the tag stays where it is: pull request #1 is merged"
    assert promote.promote(services.of_agent(world.clearml), original)["promotion"]["moved"] is True


def test_promote__on_pass_in_a_rerun_that_cannot_ask_github__keeps_the_tag(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = replace(world.check, action="check", merge_commit="", promote="on-pass", gates=())
    world.run(check)
    rerun = world.rerun(check)
    found = {"candidate": {"id": world.project.task(commit=check.commit), "project_id": world.project.id}}
    run_results.store(world.clearml, world.project.step(rerun.id, "find_task"), found)
    monkeypatch.delenv("GITHUB_TOKEN")
    assert "no GITHUB_TOKEN and no GitHub App" in promote.promote(services.of_agent(world.clearml), rerun)["reason"]


def test_promote__on_pass_in_an_edited_rerun__keeps_the_tag(world: World) -> None:
    check = replace(world.check, action="check", merge_commit="", promote="on-pass", gates=())
    world.run(check)
    rerun = world.rerun(check, task_name="another")
    found = {"candidate": {"id": world.project.task(commit=check.commit), "project_id": world.project.id}}
    run_results.store(world.clearml, world.project.step(rerun.id, "find_task"), found)
    kept = promote.promote(services.of_agent(world.clearml), rerun)
    assert kept["reason"] == "the tag stays where it is: a rerun with edited parameters moves no tag"
