"""The audit's step about stale checks: which statuses it ends, and which runs it takes for dead."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from github.CheckRun import CheckRun

from clearml_ci.clearml_api import ownership, pipeline_runs
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.core.step_results import StaleChecksResult
from clearml_ci.github_api import statuses
from clearml_ci.job import reporter, stale_checks
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters.audit import Audit, Home
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, Hub, proposed
from steps import audit_stale_checks
from tests.clock import fast_clock
from tests.gateways import services

HOUR = 3600.0
NAME = "ClearML CI"


def nothing() -> None:
    """What happens between the two looks, if nothing does."""


def clock(*, later: float = HOUR, between: Callable[[], object] = nothing) -> Clock:
    fast = fast_clock(on_sleep=between)
    return Clock(monotonic=fast.monotonic, now=lambda: time.time() + later, sleep=fast.sleep)


@dataclass(frozen=True)
class World:
    """A repository with a pull request, and its pipelines' projects."""

    client: Client
    clearml: ClearML
    prefix: str
    hub: Hub
    projects: Mapping[str, str]

    @property
    def head(self) -> str:
        return str(self.hub.repository.get_pull(1).head.sha)

    def run(self, *, end: str = "", started: bool = True, commit: str = "") -> str:
        """A check of the pull request."""
        pull = PullRequest(FULL_NAME, 1, (), self.hub.server.api_url)
        arguments = Check(commit or self.head, pull, "", "", (), "best").to_arguments()
        return self._controller("pr_check", arguments, started=started, end=end)

    def stranger(self) -> str:
        """A run of another repository's check."""
        root = f"{self.prefix} CI/octo-owner/other/.pipelines/pr_check"
        project = self.client.call("projects.create", name=root)["id"]
        return replace(self, projects={"pr_check": project}).run()

    def _controller(self, pipeline: str, arguments: dict[str, str], *, started: bool = True, end: str = "") -> str:
        items = {name: {"section": "Args", "name": name, "value": value} for name, value in arguments.items()}
        project = self.projects[pipeline]
        given = {"name": pipeline, "type": "controller", "project": project, "hyperparams": {"Args": items}}
        made = str(self.client.call("tasks.create", **given)["id"])
        ownership.mark(self.clearml, made, run=made, purpose="run")
        if started:
            self.client.call("tasks.started", task=made)
        if end:
            self.client.call(f"tasks.{end}", task=made)
        return made

    def url(self, run: str) -> str:
        return pipeline_runs.read(self.clearml, run).url

    def pending(self, run: str = "", *, url: str = "", name: str = NAME) -> None:
        """The status that a job set before it vanished."""
        address = url or (self.url(run) if run else "")
        self.as_job.get_commit(self.head).create_status(
            "pending", **({"target_url": address} if address else {}), context=name
        )

    @property
    def as_job(self) -> Any:
        return self.hub.seen_by("workflow", permissions=JOB)

    def status(self, name: str = NAME) -> tuple[str, str, str]:
        found = self.hub.repository.get_commit(self.head).get_combined_status().statuses
        return next((one.state, one.target_url or "", one.description or "") for one in found if one.context == name)

    def state(self, run: str) -> str:
        return str(self.client.call("tasks.get_by_id", task=run)["task"]["status"])

    def audit_run(self, **changes: Any) -> Run:
        home = Home(FULL_NAME, "", self.hub.server.api_url, "main", ())
        audit = replace(Audit(home, "", (), "", "best", (), ()), **changes)
        return pipeline_runs.read(self.clearml, self._controller("audit", audit.to_arguments()))

    def audit(
        self, *, later: float = HOUR, between: Callable[[], object] = nothing, **changes: Any
    ) -> StaleChecksResult:
        """The step, `later` seconds from now; `between` happens between its two looks."""
        agent = services.of_agent(self.clearml, clock=clock(later=later, between=between))
        return audit_stale_checks.audit_stale_checks(agent, self.audit_run(**changes))

    def step(self, run: Run) -> Services:
        """What an agent gives to the step of an audit."""
        named = {"name": "audit_stale_checks", "type": "data_processing", "project": self.projects["audit"]}
        task = self.client.call("tasks.create", parent=run.id, **named)["id"]
        return replace(services.of_agent(self.clearml, clock=clock()), own_task=task)


@pytest.fixture
def world(
    client: Client, clearml: ClearML, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    hub = proposed(tmp_path)
    monkeypatch.setenv("GITHUB_TOKEN", hub.server.token("workflow", repository=FULL_NAME, permissions=JOB))
    monkeypatch.setenv("GITHUB_API_URL", hub.server.api_url)
    root = f"{prefix} CI/{FULL_NAME}/.pipelines"
    projects = {name: client.call("projects.create", name=f"{root}/{name}")["id"] for name in ("pr_check", "audit")}
    yield World(client, clearml, prefix, hub, projects)
    hub.server.stop()


def told(result: StaleChecksResult) -> list[str]:
    return [finding["said"] for finding in result["findings"]]


@pytest.mark.parametrize("end", ["stopped", "failed", "completed"])
@pytest.mark.parametrize("linked", [True, False], ids=["linked", "without a link"])
def test_audit_stale_checks__run_that_ended_without_a_verdict__is_an_error_that_links_to_it(
    world: World, end: str, linked: bool
) -> None:
    run = world.run(end=end)
    world.pending(run if linked else "")
    result = world.audit()
    (finding,) = result["findings"]
    assert (finding["kind"], finding["severity"], finding["where"]["url"]) == ("stale_check", "finding", world.url(run))
    assert f"its run {run} has ended ({end}); the audit set it to an error" in finding["said"]
    state, url, description = world.status()
    assert (state, url) == ("error", world.url(run)) and description.startswith(f"no verdict: its run {run} has ended")
    assert told(world.audit()) == []


@pytest.mark.parametrize("settled", [False, True], ids=["before", "after"])
def test_audit_stale_checks__killed_when_it_finishes_one_and_started_again__finds_what_it_found(
    world: World, settled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.pending(world.run(end="failed"))
    audit = world.audit_run()
    agent, create = world.step(audit), statuses.create

    def killed(*given: Any, **named: Any) -> None:
        if settled:
            create(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as power, pytest.raises(KeyboardInterrupt):
        power.setattr(statuses, "create", killed)
        audit_stale_checks.audit_stale_checks(agent, audit)
    assert world.status()[0] == ("error" if settled else "pending")
    again = [told(audit_stale_checks.audit_stale_checks(agent, audit)) for _ in range(2)]
    assert again == [again[0], again[0]] and len(again[0]) == 1
    assert again[0][0].endswith("has ended (failed); the audit set it to an error")
    assert world.status()[0] == "error"


def test_finish__agent_without_credentials__is_done_by_the_job_that_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world.run(end="stopped")
    world.pending(run)
    token = os.environ["GITHUB_TOKEN"]
    monkeypatch.delenv("GITHUB_TOKEN")
    assert world.audit() == {"findings": [], "notes": [], "unseen": []}
    (note,) = world.audit(waited_for=False)["notes"]
    assert note.startswith(
        "commits whose status stays pending were not looked for: the agent that runs the steps has no GITHUB_TOKEN"
    )
    audit = world.audit_run()
    job = reporter.connect(audit_parameters.as_check(audit_parameters.from_arguments(audit.arguments)), token)
    stale_checks.finish(world.clearml, job, audit.id, clock())
    assert world.status()[:2] == ("error", world.url(run))
    assert f"its run {run} has ended (stopped); the audit set it to an error" in capsys.readouterr().out


def test_finish__check_run_that_the_agent_may_not_end__is_ended_by_the_job(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No person's token can write a check run."""
    run = world.run(end="stopped")
    opened = world.as_job.create_check_run(
        f"{NAME} / verdict", world.head, status="in_progress", details_url=world.url(run)
    )
    token = os.environ["GITHUB_TOKEN"]
    monkeypatch.setenv("GITHUB_TOKEN", world.hub.server.owner_token)
    findings = world.audit()["findings"]
    assert ["the audit could not change it" in finding["said"] for finding in findings] == [True]
    audit = world.audit_run()
    job = reporter.connect(audit_parameters.as_check(audit_parameters.from_arguments(audit.arguments)), token)
    report: Any = {"posted": True, "verdict": {"findings": findings}}
    none: Any = {"posted": True, "verdict": {"findings": []}}
    assert (stale_checks.are_left(report), stale_checks.are_left(none)) == (True, False)
    stale_checks.finish(world.clearml, job, audit.id, clock())
    assert world.hub.repository.get_check_run(opened.id).conclusion == "failure"


def test_audit_stale_checks__check_run_of_a_job_that_was_killed__is_finished(world: World) -> None:
    run = world.run(end="stopped")
    opened: CheckRun = world.as_job.create_check_run(
        f"{NAME} / verdict", world.head, status="in_progress", details_url=world.url(run)
    )
    assert told(world.audit()) == [
        f"a check run in progress, although its run {run} has ended (stopped); the audit set it to an error"
    ]
    found = world.hub.repository.get_check_run(opened.id)
    assert (found.status, found.conclusion, found.details_url) == ("completed", "failure", world.url(run))


@pytest.mark.parametrize("clean_up", [True, False])
def test_audit_stale_checks__controller_that_died__is_an_error_and_is_ended(world: World, clean_up: bool) -> None:
    run = world.run()
    world.pending(run)
    assert "has been silent for 60 min; the audit set it to an error" in told(world.audit(clean_up=clean_up))[0]
    assert world.status()[:2] == ("error", world.url(run))
    assert world.state(run) == ("stopped" if clean_up else "in_progress")
    assert bool(pipeline_runs.read(world.clearml, run).unwanted) is clean_up


def test_audit_stale_checks__status_that_links_to_a_run_of_another_repository__leaves_that_run(world: World) -> None:
    """Whoever may set a status chooses its link."""
    run = world.stranger()
    world.pending(run)
    assert len(told(world.audit(clean_up=True))) == 1
    assert (world.status()[0], world.state(run)) == ("error", "in_progress")
    assert not pipeline_runs.read(world.clearml, run).unwanted


def test_audit_stale_checks__repository_edited__sets_no_status_there(world: World) -> None:
    world.pending(world.run(end="stopped"))
    run = replace(world.audit_run(), project=f"{world.prefix} CI/octo-owner/other/.pipelines/audit")
    with pytest.raises(UsageError, match="must not report to the repository"):
        audit_stale_checks.audit_stale_checks(services.of_agent(world.clearml, clock=clock()), run)
    assert world.status()[0] == "pending"


def test_audit_stale_checks__controller_that_gives_signs__stays_pending_whatever_the_clocks_say(world: World) -> None:
    run = world.run()
    world.pending(run)
    assert told(world.audit(between=lambda: world.client.call("tasks.ping", task=run))) == []
    assert (world.status()[0], world.state(run)) == ("pending", "in_progress")


def test_audit_stale_checks__controller_that_was_silent_for_five_minutes__stays_pending(world: World) -> None:
    world.pending(world.run())
    assert told(world.audit(later=300)) == []
    assert world.status()[0] == "pending"


@pytest.mark.parametrize(
    ("worker", "longest_wait", "ended"),
    [
        pytest.param(True, HOUR / 2, False, id="its agent has other work"),
        pytest.param(False, 2 * HOUR, False, id="its agent may come back"),
        pytest.param(False, HOUR / 2, True, id="its agent is gone"),
    ],
)
def test_audit_stale_checks__run_in_its_queue__is_stale_only_without_an_agent(
    world: World, worker: bool, longest_wait: float, ended: bool
) -> None:
    queue = world.client.call("queues.create", name=f"{world.prefix} controllers")["id"]
    if worker:
        world.client.call("workers.register", worker=f"{world.prefix}-worker", queues=[queue])
    run = world.run(started=False)
    world.client.call("tasks.enqueue", task=run, queue=queue)
    world.pending(run)
    said = told(world.audit(longest_wait=longest_wait))
    assert [f"its run {run} has waited for 60 min in a queue without workers" in text for text in said] == [
        True
    ] * ended
    assert (world.status()[0], world.state(run)) == (("error", "stopped") if ended else ("pending", "queued"))


def test_audit_stale_checks__job_that_was_killed_before_its_run_began__is_an_error(world: World) -> None:
    world.pending()
    assert told(world.audit()) == [
        "the status pending, although no run of it was started; the audit set it to an error"
    ]
    assert world.status()[:2] == ("error", "")


def test_audit_stale_checks__run_that_was_deleted__is_an_error(world: World) -> None:
    run = world.run(end="stopped")
    world.pending(run)
    world.client.call("tasks.delete", task=run, force=True)
    assert "although the run that it links to was deleted" in told(world.audit())[0]
    assert world.status()[0] == "error"


def test_audit_stale_checks__verdict_that_comes_between_the_looks__stays(world: World) -> None:
    run = world.run(end="completed")
    world.pending(run)
    commit = world.as_job.get_commit(world.head)
    assert told(world.audit(between=lambda: commit.create_status("success", context=NAME))) == []
    assert world.status()[0] == "success"


def test_audit_stale_checks__controller_that_died_and_is_ended_between_the_looks__is_an_error(world: World) -> None:
    """The step that ends leftovers runs at the same time."""
    run = world.run()
    world.pending(run)
    stop = lambda: world.client.call("tasks.stopped", task=run, force=True)  # noqa: E731
    assert f"its run {run} has ended (stopped); the audit set it to an error" in told(world.audit(between=stop))[0]
    assert world.status()[:2] == ("error", world.url(run))


def test_audit_stale_checks__rerun_that_lives__keeps_the_status_pending(world: World) -> None:
    first = world.run(end="stopped")
    world.pending(first)
    rerun = world.run()
    assert told(world.audit(between=lambda: world.client.call("tasks.ping", task=rerun))) == []
    assert world.status()[0] == "pending"


def test_audit_stale_checks__statuses_of_others__are_not_touched(world: World) -> None:
    world.run(end="stopped")
    names = {
        "ClearML CIty": "",
        "tests": "",
        "ClearML CI: elsewhere": "https://ci.example.com/pipelines/1/experiments/2",
    }
    for name, url in names.items():
        world.pending(url=url, name=name)
    assert told(world.audit()) == []
    assert {world.status(name)[0] for name in names} == {"pending"}


def test_audit_stale_checks__commit_that_github_does_not_know__is_passed_over(world: World) -> None:
    world.run(end="stopped", commit="d" * 40)
    assert world.audit() == {"findings": [], "notes": [], "unseen": []}


def test_audit_stale_checks__github_that_does_not_answer__is_not_green(world: World) -> None:
    world.hub.server.stop()
    result = world.audit()
    assert result["unseen"][0].startswith("commits whose status stays pending were not looked for: ")


def test_audit_stale_checks__token_that_may_not_set_a_status__names_the_commit_and_the_permission(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    weak = {**JOB, "statuses": "read"}
    monkeypatch.setenv("GITHUB_TOKEN", world.hub.server.token("workflow", repository=FULL_NAME, permissions=weak))
    world.pending(world.run(end="stopped"))
    result = world.audit()
    assert "the audit could not change it" in told(result)[0]
    assert world.head[:10] in result["notes"][0] and "`statuses: write`" in result["notes"][0]
