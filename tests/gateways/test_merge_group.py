"""A merge queue's commit on the local GitHub: which verdict is carried over, and which check is started instead."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import pipeline_runs, run_results
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Stopwatch
from clearml_ci.github_api import merge_groups
from clearml_ci.github_api.session import GitHub
from clearml_ci.job import merge_group, start, wait
from clearml_ci.job import settings as job_settings
from clearml_ci.job.merge_group import Carried, Group
from clearml_ci.job.reporter import Reporter
from clearml_ci.job.settings import Settings
from clearml_ci.policy.policy_file import FILE
from sandbox.servers.github_server import GitHubServer
from sandbox.testing.hub import FULL_NAME, JOB, Hub
from tests.clock import fast_clock
from tests.gateways.conftest import Project
from tests.gateways.job_session import signed_in
from tests.unit.drawing import gate_row

STATUS = "ClearML CI"
PROBE = {"CLEARML_CI_REMOTE_RUN": "first-iteration", "CLEARML_CI_RUN_SCRIPT": "train.py"}


@dataclass(frozen=True)
class World:
    """A repository with two pull requests, #1 and #2, and a queue."""

    hub: Hub
    server: GitHubServer
    clearml: ClearML
    github: GitHub
    project: Project
    pipelines: str
    directory: Path

    def queue(self, number: int = 1, **more: str) -> Group:
        group = merge_group.of_event(self.server.merge_group(FULL_NAME, number, **more))
        assert group is not None
        return group

    def checked(self, number: int, outcome: str = "passed", *, state: str = "success", commit: str = "") -> str:
        """Leave a check of a pull request's head, or of this commit, with its status; the address of its page."""
        commit = commit or self.hub.repository.get_pull(number).head.sha
        run = self.project.run(pull_request=str(number), commit=commit)
        exit_code = 0 if state == "success" else 1
        verdict = {
            "outcome": outcome,
            "state": state,
            "exit_code": exit_code,
            "exit_reason": "as it should be",
            "candidate": None,
            "gates": [gate_row(outcome)],
            "commit": commit,
            "pipeline": {"id": run, "url": pipeline_runs.read(self.clearml, run).url},
        }
        run_results.store(self.clearml, self.project.step(run, "report"), {"verdict": {**WHOLE, **verdict}})
        url = verdict["pipeline"]["url"]  # type: ignore[index]
        self.hub.repository.get_commit(commit).create_status(state, url, outcome, STATUS)
        return str(url)

    def environ(self, event: Any, **more: str) -> dict[str, str]:
        (self.directory / "event.json").write_text(json.dumps(event))
        return {
            "GITHUB_EVENT_NAME": "merge_group",
            "GITHUB_EVENT_PATH": str(self.directory / "event.json"),
            "GITHUB_REPOSITORY": FULL_NAME,
            "GITHUB_API_URL": self.server.api_url,
            "GITHUB_TOKEN": self.server.token("workflow", repository=FULL_NAME, permissions=JOB),
            "CLEARML_CI_PIPELINE_PROJECT": self.pipelines,
            "CLEARML_SCALAR_TITLE": "accuracy",
            "CLEARML_SCALAR_SERIES": "validation",
            **more,
        }

    def settings(self, group: Group, *, merge_queue: str = "", ignored: tuple[str, ...] = (), **more: str) -> Settings:
        found = job_settings.from_environment(self.environ({}, **more), event=group.event)
        return replace(found, check=replace(found.check, merge_queue=merge_queue, ignored_paths=ignored))

    def plan(self, group: Group, **settings: Any) -> Any:
        return merge_group.plan(self.clearml, self.github, self.settings(group, **settings), group, policy=FILE)

    def state(self, commit: str) -> list[tuple[str, str, str]]:
        found = self.hub.repository.get_commit(commit).get_combined_status().statuses
        return [(status.context, status.state, status.description) for status in found]


WHOLE: dict[str, Any] = {
    "schema": 1, "name": "", "repository": FULL_NAME, "pull_request": 1, "told_at": "", "merge_group": [], "runs": [],
    "baseline": None, "main_baseline": None, "differences": [], "differences_total": 0, "accepted": [], "rejected": [],
    "remote_run": None, "warnings": [], "promotion": None, "rerun": None, "clearml_requests": {},
}  # fmt: skip


@pytest.fixture
def world(
    hub: Hub, server: GitHubServer, clearml: ClearML, project: Project, prefix: str, tmp_path: Path
) -> Iterator[World]:
    hub.commit("second", file="second.py", onto="main")
    hub.repository.create_pull(title="Second", head="second", base="main", body="")
    name = f"{prefix} CI/{FULL_NAME}/.pipelines/pr_check"
    own = replace(project, id=project.client.call("projects.create", name=name)["id"], name=name)
    yield World(hub, server, clearml, signed_in(server), own, f"{prefix} CI", tmp_path)


def document(planned: Any) -> Any:
    assert isinstance(planned, Carried)
    return planned.document


@pytest.mark.parametrize(("outcome", "state"), [("passed", "success"), ("regressed", "failure")])
def test_plan__tree_that_was_judged__carries_that_verdict_whatever_it_is(
    world: World, outcome: str, state: str
) -> None:
    url = world.checked(1, outcome, state=state)
    group = world.queue(1)
    found = document(world.plan(group, merge_queue="train", **PROBE))
    head = world.hub.repository.get_pull(1).head.sha
    assert (found["outcome"], found["state"], found["commit"], found["told_at"]) == (
        *(outcome, state),
        *(group.head_sha, group.head_sha),
    )
    assert found["exit_reason"] == (f"carried over from #1 at {head[:10]}, which has the same files: as it should be")
    assert (found["pipeline"]["url"], found["merge_group"]) == (url, [1])


@pytest.mark.parametrize("method", ["merge", "squash"])
def test_plan__base_that_moved_on__carries_over_all_pull_requests_or_the_worst(world: World, method: str) -> None:
    world.checked(1)
    world.checked(2, "regressed", state="failure")
    first = world.queue(1, method=method)
    second = world.queue(2, after=first.head_sha, method=method)
    assert second.base_sha == first.head_sha
    found = document(world.plan(second))
    assert (found["outcome"], found["merge_group"], found["pull_request"]) == ("regressed", [2, 1], 2)
    assert ", each judged by itself: as it should be" in found["exit_reason"]


def test_plan__files_that_no_task_depends_on__carries_the_verdict_over(world: World) -> None:
    world.checked(1)
    first = world.queue(1)
    world.checked(1, commit=first.head_sha)
    second = world.queue(2, after=first.head_sha)
    found = document(world.plan(second, merge_queue="train", ignored=("second.py",), **PROBE))
    head = world.hub.repository.get_pull(1).head.sha
    assert f"carried over from #1 at {head[:10]}, which differs in ignored paths alone: " in found["exit_reason"]
    with pytest.raises(AssertionError):
        document(world.plan(second, merge_queue="train", ignored=("other.py",), **PROBE))


@pytest.mark.parametrize("given", ["none", "pending", "another-state", "another-commits-run"])
def test_plan__pull_request_without_a_verdict__is_no_evidence(world: World, given: str) -> None:
    commit = world.hub.repository.get_commit(world.hub.repository.get_pull(1).head.sha)
    if given == "pending":
        world.checked(1)
        commit.create_status("pending", description="runs", context=STATUS)
    elif given == "another-state":
        commit.create_status("success", world.checked(1, "regressed", state="failure"), "", STATUS)
    elif given == "another-commits-run":
        commit.create_status("success", world.checked(2), "", STATUS)
    found = document(world.plan(world.queue(1)))
    assert (found["outcome"], found["state"], found["exit_code"]) == ("no_evidence", "failure", 1)
    assert "no verdict on #1 at " in found["exit_reason"]


def test_plan__other_files__are_probed_or_trained_by_policy(world: World) -> None:
    world.checked(1)
    world.checked(2)
    second = world.queue(2, after=world.queue(1).head_sha)
    for mode in ("", "probe"):
        probed = world.plan(second, merge_queue=mode, **PROBE)
        assert (probed.check.candidate, probed.check.gates, probed.remote_run.until) == ("none", (), "first-iteration")
        assert (probed.check.commit, probed.check.group) == (second.head_sha, (2, 1))
    trained = world.plan(second, merge_queue="train", **PROBE)
    assert (trained.check.candidate, trained.remote_run.until, len(trained.check.gates)) == ("train", "completion", 1)
    assert trained.deadline == 600 + 600 + 18_000 + 300
    assert document(world.plan(second, merge_queue="carry", **PROBE))["outcome"] == "passed"
    with pytest.raises(UsageError, match="merge_queue is 'train', but nothing is run"):
        world.plan(second, merge_queue="train")


def test_plan__probe_of_a_group_with_a_red_pull_request__is_that_verdict(world: World) -> None:
    world.checked(1)
    world.checked(2, "regressed", state="failure")
    second = world.queue(2, after=world.queue(1).head_sha)
    assert document(world.plan(second, merge_queue="probe", **PROBE))["outcome"] == "regressed"


# --- the job


@pytest.fixture
def job(world: World, monkeypatch: pytest.MonkeyPatch, user_environment: dict[str, str]) -> World:  # noqa: ARG001
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    return world


def test_check__verdict_that_is_carried__is_the_status_of_the_queues_commit(job: World) -> None:
    url = job.checked(1)
    event = job.server.merge_group(FULL_NAME, 1)
    assert start.check(job.environ(event), Stopwatch(fast_clock(), 0.0)) == 0
    commit = event["merge_group"]["head_sha"]
    ((name, state, text),) = job.state(commit)
    assert (name, state) == (STATUS, "success")
    assert text.startswith("passed for #1: carried over from #1 at ")
    (run,) = job.hub.repository.get_commit(commit).get_check_runs()
    assert (run.conclusion, run.details_url) == ("success", url)


def test_check__group_that_is_gone__does_nothing(job: World) -> None:
    job.checked(1)
    event = job.server.merge_group(FULL_NAME, 1)
    branch = event["merge_group"]["head_ref"].removeprefix("refs/heads/")
    destroyed = job.server.end_merge_group(FULL_NAME, branch)
    for payload in (event, destroyed):
        assert start.check(job.environ(payload), Stopwatch(fast_clock(), 0.0)) == 0
    assert job.state(event["merge_group"]["head_sha"]) == []


def test_check__settings_that_are_wrong__set_the_status_to_an_error(job: World) -> None:
    event = job.server.merge_group(FULL_NAME, 1)
    with pytest.raises(UsageError):
        start.check(job.environ(event, CLEARML_SCALAR_THRESHOLD="much"), Stopwatch(fast_clock(), 0.0))
    ((name, state, _),) = job.state(event["merge_group"]["head_sha"])
    assert (name, state) == (STATUS, "error")


def test_check__clearml_that_is_away__sets_the_status_to_an_error(job: World, monkeypatch: pytest.MonkeyPatch) -> None:
    job.checked(1)
    event = job.server.merge_group(FULL_NAME, 1)
    monkeypatch.setenv("CLEARML_API_HOST", "http://127.0.0.1:1")
    with pytest.raises(Exception, match="ClearML"):
        start.check(job.environ(event), Stopwatch(fast_clock(), 0.0))
    ((_, state, _),) = job.state(event["merge_group"]["head_sha"])
    assert state == "error"


def test_wait__group_that_is_dismissed_while_it_is_judged__ends_the_run(world: World) -> None:
    group = world.queue(1)
    check = replace(world.settings(group).check, group=(1,), group_branch=group.branch)
    run = world.project.run(pull_request="1", commit=check.commit)
    reporter = Reporter(world.github, check)
    assert not reporter.is_dismissed()
    world.server.end_merge_group(FULL_NAME, group.branch)
    assert not merge_groups.exists(world.github, group.branch)
    with pytest.raises(wait.DismissedError, match="the merge group is gone"):
        wait.until_ended(
            world.clearml,
            run,
            clock=fast_clock(speed=100),
            timeout=600,
            report=lambda _: None,
            is_dismissed=reporter.is_dismissed,
        )


def test_wait__group_that_is_merged_because_its_status_is_green__does_not_end_the_run(world: World) -> None:
    group = world.queue(1)
    run = world.checked(1, commit=group.head_sha).split("/experiments/")[1][:32]
    sleeps = iter((None, None, run))  # it is running at two looks after the verdict

    def sleep() -> None:
        if ended := next(sleeps, None):
            world.project.client.call("tasks.completed", task=ended)

    found, _ = wait.until_ended(
        world.clearml,
        run,
        clock=fast_clock(speed=100, on_sleep=sleep),
        timeout=600,
        report=lambda _: None,
        is_dismissed=lambda: True,
    )
    assert found.status == "completed"


@pytest.mark.parametrize("policy", [".github/clearml-ci.yml", ".github/clearml-ci-digits.yml"])
def test_that_matter__policy_file_of_the_job__is_never_ignored(policy: str) -> None:
    paths = ["docs/a.md", ".github/clearml-ci.yml", ".github/clearml-ci-digits.yml", "train.py"]
    ignored = ("docs/**", ".github/**")
    assert merge_group.that_matter(paths, ignored=ignored, policy=policy) == [policy, "train.py"]
