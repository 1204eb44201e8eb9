"""A rerun on a ClearML server and a GitHub: its original, its report, and what it must not write to."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership, pipeline_runs, run_results, started_runs
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import poll
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.github_api import check_runs
from clearml_ci.job import start
from clearml_ci.operations import rerun
from clearml_ci.parameters import check, run_arguments
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.parameters.remote_run import SHARED
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, Hub, git, proposed
from steps import remote_run, report
from tests.clock import fast_clock
from tests.gateways import services
from tests.gateways.job_session import signed_in

NONCE = "0123456789abcdef" * 2


OWN_COPY = ", by its own copy of the first parameters"


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

    def original(self, arguments: dict[str, str], *, origin: str = NONCE) -> Run:
        """A run as a job starts it, from a context that its clones keep."""
        run = self.run(run_arguments.with_start({**arguments, "_origin": origin}), origin=origin).id
        started_runs.mark(self.clearml, run)
        return pipeline_runs.read(self.clearml, run)

    def new_run(self, run: Run, **edits: str) -> Run:
        """What New run sends."""
        queue = self.client.call("queues.create", name=f"queue {run.id} {len(edits)}")["id"]
        args = [{"name": name, "value": value} for name, value in edits.items()]
        made = self.client.call("pipelines.start_pipeline", task=run.id, queue=queue, args=args)["pipeline"]
        self.client.call("tasks.started", task=made)
        return pipeline_runs.read(self.clearml, made)

    def again(self, run: Run, **edits: str) -> Run:
        """Reset of the run itself, edits in its section, and Enqueue."""
        self.client.call("tasks.reset", task=run.id, force=True)
        return self.edited(run, **edits)

    def edited(self, run: Run, **edits: str) -> Run:
        items = [{"section": "Args", "name": name, "value": value} for name, value in edits.items()]
        self.client.call("tasks.edit_hyper_params", task=run.id, hyperparams=items, force=True)
        self.client.call("tasks.started", task=run.id, force=True)
        return pipeline_runs.read(self.clearml, run.id)

    def stamp(self, run: Run, *, step: str = "a step") -> str:
        found = rerun.of(self.clearml, run, step=step)
        return found.stamp.partition(" with ")[2] if found else ""

    def draft(self) -> None:
        """The template that the first run of a version registers holds that run's own Args."""
        item = {"section": "Args", "name": "_origin", "value": NONCE}
        given = {"type": "controller", "project": self.project, "hyperparams": {"Args": {"_origin": item}}}
        self.client.call("tasks.create", name="pr_check", **given)

    def rerun(self, **edits: str) -> Run:
        """A rerun of an original that was just made."""
        arguments = self.check.to_arguments()
        self.original(arguments)
        return self.run({**arguments, **edits})

    def report(self, run: Run, *, fault: str = "") -> Any:
        found: dict[str, Any] = {"candidate": None, "reason": "it was not run", "rejected": []}
        results: dict[str, dict[str, Any]] = {
            "find_task": {"fault": fault} if fault else found,
            "compare": {"outcome": "passed", "reason": "why", "gates": [], "warnings": []},
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


def test_of__run_of_the_same_origin__is_compared_with_the_jobs_own(world: World) -> None:
    context = {"_context": "{}"}
    first = world.original({"goal": "a", **context})
    reruns = [rerun.of(world.clearml, world.run({"goal": goal, **context}), step="s") for goal in ("b", "c")]
    assert rerun.of(world.clearml, first, step="s") is None
    assert [(found.original, found.changes) for found in reruns if found] == [
        (first.id, ("goal a → b",)),
        (first.id, ("goal a → c",)),
    ]
    assert all(found.by for found in reruns if found)


@pytest.mark.parametrize("origin", ["", "f" * 32])
def test_of__run_that_no_job_started__is_a_rerun_of_what_is_unknown(world: World, origin: str) -> None:
    world.original({"_context": "{}"})
    assert world.stamp(world.run({}, origin=origin)) == "changes that are unknown"


def test_of__first_run_of_a_template__is_no_rerun_of_it(world: World) -> None:
    world.draft()
    first = world.original({"_context": "{}"})
    rerun_ = rerun.of(world.clearml, world.run({"_context": "{}"}), step="s")
    assert rerun.of(world.clearml, first, step="s") is None
    assert rerun_
    assert rerun_.original == first.id


def test_of__original_reset_and_edited__is_a_rerun(world: World) -> None:
    first = world.original(world.check.to_arguments())
    again = world.again(first, threshold_percent="50")
    assert world.stamp(again) == f"threshold_percent 3 → 50{OWN_COPY}"
    later = world.new_run(again, threshold_percent="30")
    assert world.stamp(later) == f"threshold_percent 3 → 30{OWN_COPY}"


def test_of__original_deleted__its_reruns_are_still_compared_with_it(world: World) -> None:
    first = world.original(world.check.to_arguments())
    second = world.new_run(first)
    world.client.call("tasks.delete", task=first.id, force=True)
    assert world.stamp(world.new_run(second, threshold_percent="50")) == f"threshold_percent 3 → 50{OWN_COPY}"
    assert world.stamp(world.new_run(second)) == f"nothing changed{OWN_COPY}"


def test_of__clone_without_its_origin__is_edited_whatever_it_states_of_its_start(world: World) -> None:
    """Users can edit the copy of the first parameters as well, and so hide an edit."""
    check = {**world.check.to_arguments(), "threshold_percent": "50"}
    world.original(world.check.to_arguments())
    forged = world.run(run_arguments.with_start(check), origin="")
    found = rerun.of(world.clearml, forged, step="s")
    assert found
    assert (found.changes, found.is_edited) == ((), True)
    assert found.stamp.endswith(OWN_COPY)


def test_of__clone_that_was_edited_before_its_start__is_a_rerun(world: World) -> None:
    first = world.original(world.check.to_arguments())
    clone = world.client.call("tasks.clone", task=first.id)["id"]
    assert world.stamp(world.edited(replace(first, id=clone), goal="minimize")) == "goal maximize → minimize"


def test_of__original_dequeued_and_edited_before_it_ran__is_a_rerun(world: World) -> None:
    first = world.original(world.check.to_arguments())
    assert world.stamp(world.edited(first, threshold_percent="50")) == "threshold_percent 3 → 50"


def test_of__original_continued__is_a_rerun_once_it_has_reported(world: World) -> None:
    first = world.original(world.check.to_arguments())
    started_runs.mark_reported(world.clearml, first.id, step="its report")
    first = pipeline_runs.read(world.clearml, first.id)
    assert world.stamp(first, step="its report") == ""  # the step itself, interrupted and repeated
    found = rerun.of(world.clearml, first, step="the report of its next execution")
    assert found
    assert found.stamp == "rerun by an unknown user with nothing changed"
    assert world.stamp(world.new_run(first, goal="minimize")) == "goal maximize → minimize"


def test_judged__hidden_parameters_edited__are_those_of_the_original(world: World) -> None:
    other = replace(world.check, name="other", pull_request=replace(world.check.pull_request, base="release"))
    first = world.original(world.check.to_arguments())
    edited = world.new_run(first, **{**other.to_arguments(), "threshold_percent": "5"})
    judged = check.from_arguments(rerun.judged(world.clearml, edited, step="s").arguments)
    assert (judged.name, judged.pull_request.base, judged.gates[0].tolerance) == ("", "main", 5.0)
    assert world.stamp(edited) == "threshold_percent 3 → 5, _name (empty) → other, _context.base main → release"


def test_judged__label_of_approval_edited__is_that_of_the_original(world: World) -> None:
    """Any other label would let a fork's code run."""
    first = world.original({**world.check.to_arguments(), "run_approval_label": "run-remote"})
    edited = world.new_run(first, run_approval_label="bug")
    assert rerun.judged(world.clearml, edited, step="s").arguments["run_approval_label"] == "run-remote"
    assert world.stamp(edited) == "run_approval_label run-remote → bug"


@pytest.mark.parametrize(
    "edits",
    [{"_steps_queue": "code"}, {"_shared_queue": SHARED}, {"_steps_queue": "code", "_shared_queue": SHARED}],
    ids=["queues swapped", "words added", "both"],
)
def test_remote_run__hidden_queues_edited__sends_no_code_to_the_trusted_steps(
    world: World, edits: dict[str, str]
) -> None:
    launch = {"candidate": "none", "run_until": "first-iteration", "run_queue": "code", "run_project": "digits"}
    first = world.original({**world.check.to_arguments(), **launch, "_steps_queue": "steps"})
    edited = world.new_run(first, run_queue="steps", **edits)
    result = remote_run.remote_run(services.of_agent(world.clearml), rerun.judged(world.clearml, edited, step="a step"))
    assert (result["outcome"], result["phase"]) == ("error", "settings")
    assert "the queue 'steps' is the trusted steps' as well" in result["reason"]


@pytest.mark.parametrize("edits", [{}, {"_controller_queue": "code"}], ids=["queue edited", "queues swapped"])
def test_remote_run__rerun_on_another_queue__sends_no_code_to_that_of_the_jobs_controllers(
    world: World, edits: dict[str, str]
) -> None:
    """The agent of the controllers may hold GitHub credentials, and New run can be on any queue."""
    launch = {"candidate": "none", "run_until": "first-iteration", "run_queue": "code", "run_project": "digits"}
    first = world.original({**world.check.to_arguments(), **launch, "_controller_queue": "controllers"})
    edited = world.new_run(first, run_queue="controllers", **edits)
    result = remote_run.remote_run(services.of_agent(world.clearml), rerun.judged(world.clearml, edited, step="a step"))
    assert (result["outcome"], result["phase"]) == ("error", "settings")
    assert "the queue 'controllers' is the controllers' as well" in result["reason"]


def test_report__hidden_parameters_edited__sets_no_other_checks_status(world: World) -> None:
    first = world.original(world.check.to_arguments())
    other = replace(world.check, name="other")
    world.report(world.new_run(first, **other.to_arguments()))
    found = world.hub.repository.get_commit(world.check.commit).get_statuses()
    assert [status.context for status in found] == ["ClearML CI"]
    assert "_name (empty) → other" in world.statuses()[0][1]


def test_report__pull_request_edited__writes_to_no_other_one(world: World) -> None:
    first = world.original(world.check.to_arguments())
    world.hub.commit("second", text="second\n")
    other = world.hub.pull("second")
    edits = {"pull_request": str(other.number), "commit": other.head.sha}
    done = world.report(world.new_run(first, **edits))
    assert done["posted"] is False
    assert "the head of pull request #1 is" in done["warnings"][0]
    assert any(change == f"pull_request 1 → {other.number}" for change in done["verdict"]["rerun"]["changes"])
    statuses = world.hub.repository.get_commit(other.head.sha).get_statuses()
    assert (other.get_issue_comments().totalCount, statuses.totalCount) == (0, 0)


def test_report__original_run__is_not_stamped_and_the_next_execution_is(world: World) -> None:
    first = world.original(world.check.to_arguments())
    assert world.report(first)["verdict"]["rerun"] is None
    assert world.report(world.again(first, threshold_percent="50"))["verdict"]["rerun"]["changes"] == [
        "threshold_percent 3 → 50"
    ]


def test_report__rerun__updates_comment_and_status_and_is_stamped(world: World) -> None:
    rerun_ = world.rerun(threshold_percent="5")
    done = world.report(rerun_)
    stamp = f"rerun by {done['verdict']['rerun']['by']} with threshold_percent 3 → 5"
    assert done["verdict"]["rerun"]["said"] == stamp
    (comment,) = world.comments()
    assert stamp.removeprefix("rerun by ") in comment.replace("\\", "")
    assert world.statuses()[0] == ("failure", f"no evidence: it was not run ({stamp})")
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
    [
        (close, "pull request #1 is closed"),
        (merge, "pull request #1 is merged"),
        (push, "the head of pull request #1 is"),
    ],
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


@pytest.mark.parametrize(("conclusion", "is_named"), [("success", True), ("failure", False)])
def test_report__check_run_that_only_the_job_can_change__is_named_if_it_shows_another_verdict(
    world: World, monkeypatch: pytest.MonkeyPatch, conclusion: str, is_named: bool
) -> None:
    github, name = signed_in(world.hub.server), check_runs.NAME.format("ClearML CI")
    number = check_runs.start(github, commit=world.check.commit, name=name, url="https://clearml/earlier")
    assert number
    check_runs.finish(github, number, conclusion=conclusion, title="t", summary="s", url="https://clearml/earlier")
    monkeypatch.setenv("GITHUB_TOKEN", world.hub.server.token("personal", repository=FULL_NAME, permissions=JOB))
    done = world.report(world.rerun())
    (comment,) = world.comments()
    assert (done["verdict"]["state"], world.statuses()[0][0]) == ("failure", "failure")
    assert ("still shows the verdict of an earlier run" in comment) == is_named


@pytest.mark.parametrize(
    ("edits", "words"),
    [({"commit": " "}, "commit is empty"), ({"threshold_percent": "abc"}, "threshold_percent is 'abc'")],
    ids=["commit", "tolerance"],
)
def test_report__rerun_whose_parameters_cannot_be_read__is_told_in_clearml_alone(
    world: World, edits: dict[str, str], words: str
) -> None:
    world.report(world.original(world.check.to_arguments()))
    before = world.comments(), world.statuses()
    done = world.report(world.rerun(**edits))
    assert words in done["verdict"]["exit_reason"] and "fault" not in done
    assert (done["verdict"]["outcome"], done["verdict"]["commit"]) == ("error", world.check.commit)
    assert next(iter(edits)) in done["verdict"]["rerun"]["said"]
    assert (done["posted"], (world.comments(), world.statuses())) == (False, before)
    assert "Nothing was posted on GitHub: the parameters of this rerun" in done["verdict"]["warnings"][-1]


@pytest.mark.parametrize(("state", "posted"), [("success", False), ("failure", False), ("pending", True)])
def test_report__rerun_without_a_verdict__replaces_none_that_stands(world: World, state: str, posted: bool) -> None:
    commit = world.hub.repository.get_commit(world.check.commit)
    commit.create_status(state, description="of the original", context=world.check.check_name)
    done = world.report(world.rerun(project="none"), fault="no project named 'none'")
    assert (done["verdict"]["outcome"], done["posted"], len(world.comments())) == ("error", posted, int(posted))
    assert world.statuses()[0][0] == ("error" if posted else state)


def test_report__first_run_whose_parameters_cannot_be_read__is_a_fault(world: World) -> None:
    run = world.original({**world.check.to_arguments(), "commit": ""})
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
    with pytest.raises(UsageError, match=r"must not report to the repository .*: start it from the workflow"):
        elsewhere.report(elsewhere.rerun())


@pytest.mark.usefixtures("user_environment")
def test_rerun__id_of_no_task__is_wrong_usage_that_names_it() -> None:
    with pytest.raises(UsageError, match="no run 0123: give the id of a pipeline run"):
        start.rerun("0123", [], {}, poll.started(fast_clock()))
