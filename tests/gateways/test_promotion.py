"""The baseline's tag moves on a ClearML server: once, though it is interrupted, repeated, or moved concurrently."""

import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.agent import step
from clearml_ci.clearml_api import (
    best_tag,
    pipeline_runs,
    promotion_ledger,
    run_results,
    started_runs,
    task_records,
)
from clearml_ci.clearml_api.session import PATIENCE, ClearML, ClearMLError, UnansweredError
from clearml_ci.core import poll, recorded_task
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.core.poll import Clock
from clearml_ci.decisions.promotion import Move
from clearml_ci.job import start
from clearml_ci.operations import promote as promotions
from clearml_ci.operations.services import Services
from clearml_ci.parameters.check import ORIGIN, Check
from clearml_ci.parameters.pull_request import Facts, PullRequest
from sandbox.runtime.clearml_access import Client
from sandbox.testing.hub import FULL_NAME, JOB, proposed
from steps import compare
from steps import promote as promote_step
from tests.clock import fast_clock
from tests.gateways import services
from tests.gateways.conftest import COMMIT, Project
from tests.unit.drawing import MOVE

TAG = "Best"
GATE = Gate("accuracy", "validation", tolerance=3.0)
MERGE = "d" * 40
OLD_COMMIT = "b" * 40
PULL = PullRequest("o/n", 7, ("https://github.com/o/n.git",), "http://127.0.0.1:1")
CHECK = Check(COMMIT, PULL, "", "train", (GATE,), TAG, action="promote", merge_commit=MERGE)
MOST_REQUESTS = 28
OUTAGE = 30.0  # seconds


@dataclass
class Watched(ClearML):
    """A session that does something before each of its requests: looks around, lets another one act, or dies."""

    before: Callable[[int], None] = lambda number: None  # noqa: ARG005
    sent: int = 0

    def call(self, endpoint: str, **request: Any) -> Any:
        self.before(self.sent)
        self.sent += 1
        return super().call(endpoint, **request)


def _services(clearml: ClearML, clock: Clock | None = None) -> Services:
    """Of an agent whose waits take no time, and seem long to it: the run that it waits for does not go on meanwhile."""
    return services.of_agent(clearml, clock=clock or fast_clock(speed=100))


class DiedError(Exception):
    """The power went."""


@dataclass(frozen=True)
class World:
    """A project of the test's own, its pipelines, and hands to start runs and to move tags."""

    client: Client
    clearml: ClearML
    project: Project
    pipelines: dict[str, str]

    def trained(self, accuracy: float, *, commit: str = COMMIT, tags: tuple[str, ...] = (), **more: Any) -> str:
        task = self.project.task(commit=commit, tags=list(tags), **more)
        self.project.report(task, 0.1, accuracy)
        return task

    def run(
        self, check: Check = CHECK, *, pipeline: str = "promote", end: str = "", origin: str = "", rerun: bool = False
    ) -> pipeline_runs.Run:
        """`origin`: the nonce by which the original of a rerun is found."""
        check = replace(check, project=check.project or self.project.name)
        arguments = {**check.to_arguments(), **({ORIGIN: origin} if origin else {})}
        items = {n: {"section": "Args", "name": n, "value": v} for n, v in arguments.items()}
        run = self.client.call(
            "tasks.create",
            name=pipeline,
            type="controller",
            project=self.pipelines[pipeline],
            hyperparams={"Args": items},
        )["id"]
        if not rerun:
            started_runs.mark(self.clearml, run)
        if end:
            self.client.call("tasks.started", task=run)
            self.client.call(f"tasks.{end}", task=run)
        return pipeline_runs.read(self.clearml, run)

    def promote(self, check: Check = CHECK) -> Any:
        return promote_step.promote(services.of_agent(self.clearml), self.run(check))

    def move(self, task: str, check: Check = CHECK, *, session: ClearML | None = None, goes_on: bool = False) -> Any:
        """`goes_on`: an agent is at its step, as far as anyone else can see."""
        check = replace(check, project=check.project or self.project.name)
        recorded, run = task_records.read(self.clearml, task), self.run(check)
        for started in [run.id, self.project.step(run.id, "promote")] if goes_on else []:
            self.client.call("tasks.started", task=started)
        return promotions.promote(_services(session or self.clearml), run, check, recorded)

    def rollback(self) -> Any:
        return self.promote(replace(CHECK, action="rollback"))

    def undo(self, check: Check = CHECK, *, session: ClearML | None = None, clock: Clock | None = None) -> Any:
        check = replace(check, action="rollback", project=self.project.name)
        return promotions.rollback(_services(session or self.clearml, clock), self.run(check), check)

    def interrupted(self, task: str, check: Check = CHECK) -> None:
        """A promotion that dies before it takes the tag from the old best."""

        def die(_: int) -> None:
            if task in self.tagged():
                raise DiedError

        with pytest.raises(DiedError):
            self.move(task, check, session=self.watched(die))

    def tagged(self, tag: str = TAG) -> list[str]:
        found = self.client.call("tasks.get_all", project=[self.project.id], tags=[tag], only_fields=["id"])
        return sorted(task["id"] for task in found["tasks"])

    def ledger(self) -> list[tuple[str, str, str]]:
        moves = promotion_ledger.moves(self.clearml, self.run().project)
        return [(move.action, move.state, move.to) for move in moves]

    def watched(self, before: Callable[[int], None]) -> Watched:
        return Watched(self.clearml.host, self.clearml.authorization, before=before)


@pytest.fixture
def world(clearml: ClearML, client: Client, project: Project, prefix: str) -> World:
    names = {name: f"{prefix} CI/o/n/.pipelines/{name}" for name in ("pr_check", "promote")}
    ids = {name: client.call("projects.create", name=path)["id"] for name, path in names.items()}
    return World(client, clearml, project, ids)


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_TOKEN", "GH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def notes(world: World, task: str) -> str:
    found = world.client.call("tasks.get_by_id", task=task)["task"]
    return str(found["hyperparams"].get("properties", {}).get("clearml_ci_baseline", {}).get("value", ""))


# --- what moves ---------------------------------------------------------------------------------------------


def test_promote__better_model__takes_the_tag_and_no_other_one(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG, "keep me"))
    new = world.trained(0.9, tags=("mine",))
    result = world.promote()
    assert (result["outcome"], result["promotion"]["moved"], result["promotion"]["from"]) == ("passed", True, [old])
    tags = {task: world.client.call("tasks.get_by_id", task=task)["task"]["tags"] for task in (old, new)}
    reference = f"{TAG}: reference"
    assert tags == {old: [reference, "keep me"], new: sorted([TAG, reference, "main_branch", "mine"])}
    assert world.ledger() == [("promote", "moved", new)]
    assert "carries 'Best' since" in notes(world, new)
    assert f"merged as {MERGE[:10]}" in notes(world, new)
    assert f"lost 'Best' to {new}" in notes(world, old)


@pytest.mark.parametrize(
    ("mode", "accuracy", "moved"),
    [
        ("better", 0.8, True),
        ("better", 0.79, False),
        ("passing", 0.79, True),
        ("passing", 0.7, False),
        ("on-pass", 0.9, False),
    ],
    ids=["as-good", "within-tolerance", "passing", "worse", "the-check-has-moved-it"],
)
def test_promote__mode__decides_where_the_tag_is(world: World, mode: str, accuracy: float, moved: bool) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(accuracy)
    result = world.promote(replace(CHECK, promote=mode))
    assert (result["outcome"], world.tagged()) == ("passed", [new if moved else old])
    assert world.tagged("main_branch") == [new]
    assert len(world.ledger()) == moved


@pytest.mark.parametrize(("accuracy", "moved"), [(0.7, False), (0.9, True)], ids=["worse", "better"])
def test_promote__best_in_another_project_of_the_repository__is_judged_against_and_replaced(
    world: World, prefix: str, accuracy: float, moved: bool
) -> None:
    """Without a project the check compares with the bests of the whole repository, and so does the promotion."""
    other = Project(world.client, world.client.call("projects.create", name=f"{prefix} other")["id"], f"{prefix} other")
    old = other.task(commit=OLD_COMMIT, tags=[prefix])
    other.report(old, 0.8)
    new = world.trained(accuracy)
    anywhere = replace(CHECK, best_tag=prefix)
    run = pipeline_runs.read(world.clearml, world.run(anywhere).id)
    result = promotions.promote(_services(world.clearml), run, anywhere, task_records.read(world.clearml, new))
    assert (result["outcome"], result["promotion"]["moved"]) == ("passed", moved)
    tags = {task: world.client.call("tasks.get_by_id", task=task)["task"].get("tags") or [] for task in (old, new)}
    assert tags == {old: [] if moved else [prefix], new: [prefix] if moved else []}


def test_promote__published_tasks__are_tagged_as_well(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.9)
    for task in (old, new):
        world.client.call("tasks.publish", task=task)
    assert world.promote()["promotion"]["moved"] is True
    assert world.tagged() == [new]


def test_promote__only_advisory_gates__keeps_the_tag_as_without_any(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    world.trained(0.9)
    advisory = replace(CHECK, gates=(replace(GATE, required=False),))
    result = world.promote(advisory)
    assert result["reason"] == "the tag stays where it is: no required gate defines which model is better"
    assert world.tagged() == [old]
    assert result["gates"][0]["outcome"] == "improved"
    assert world.promote(replace(advisory, promote="passing"))["promotion"]["moved"] is True


def test_promote__equal_but_for_rounding__stays_with_the_one_that_has_it_and_says_so(world: World) -> None:
    old = world.trained(0.8 + 1e-13, commit=OLD_COMMIT, tags=(TAG,))
    world.trained(0.8)
    result = world.promote()
    assert result["reason"] == f"the tag stays where it is: the task {old} has it, and is as good"
    assert (world.tagged(), world.ledger()) == ([old], [])
    runs = world.client.call("tasks.get_all", project=[world.pipelines["promote"]], tags=["moved the best"])["tasks"]
    assert runs == []  # it moved nothing


def test_promote__tagged_task__is_stamped_with_the_rule_that_it_is_ranked_by(world: World) -> None:
    task = world.trained(0.9)
    world.promote()
    stamp = best_tag.stamps(world.clearml, [task])[task]
    assert stamp is not None
    assert (stamp.policy.mode, stamp.policy.gates) == ("better", (replace(GATE, tolerance=0.0),))
    clone = world.client.call("tasks.clone", task=task)["id"]
    assert best_tag.stamps(world.clearml, [clone])[clone] is None


def test_promote__no_best_yet__is_the_first(world: World) -> None:
    new = world.trained(0.1)
    result = world.promote()
    assert "it is the first baseline" in result["reason"]
    assert (world.tagged(), result["promotion"]["from"]) == ([new], [])


def test_promote__metric_that_is_missing__keeps_the_tag_and_is_inconclusive(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    world.project.task()
    assert world.promote()["outcome"] == "inconclusive"
    assert world.tagged() == [old]


@pytest.mark.parametrize("mode", ["better", "on-pass"])
def test_promote__task_that_was_continued_on_its_commit__is_inconclusive_and_gets_no_tag(
    world: World, mode: str
) -> None:
    """The commit was made after the task's first start, so the values may be those of an earlier one."""
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.9)
    result = world.promote(replace(CHECK, promote=mode, facts=Facts(committed={COMMIT: "2100-01-01T00:00:00+00:00"})))
    assert result["outcome"] == "inconclusive"
    assert f"({new}) started before its commit" in result["reason"]
    assert (world.tagged(), world.tagged("main_branch")) == ([old], [])


def test_promote__on_pass_of_a_task_in_doubt__moves_no_tag(world: World) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.9)
    result = at_the_check(world, new, replace(CHECK, gates=()), remote="passed", doubt="it was continued")
    assert (result["outcome"], world.tagged()) == ("passed", [old])


@pytest.mark.parametrize("published", [False, True], ids=["completed", "published"])
def test_promote__check_that_judged_another_task__takes_that_one(world: World, published: bool) -> None:
    """Of two clean runs of one commit, the judged one counts and not the newest."""
    judged, _newer = world.trained(0.9), world.trained(0.95)
    run = world.run(replace(CHECK, action="check", merge_commit=""), pipeline="pr_check", end="completed")
    step = world.project.step(run.id, "report")
    verdict = {"verdict": {"candidate": {"id": judged}}}
    run_results.store(world.clearml, step, verdict)
    if published:
        world.client.call("tasks.publish", task=run.id)
    world.promote()
    assert world.tagged() == [judged]


@pytest.mark.parametrize(
    ("edits", "counts"),
    [({"project": "some other project"}, False), ({"task_name": ""}, False), ({}, True)],
    ids=["another-project", "another-name", "unchanged"],
)
def test_promote__newest_check_is_a_rerun__counts_only_if_it_asked_the_same(
    world: World, prefix: str, edits: dict[str, Any], counts: bool
) -> None:
    judged, of_rerun = world.trained(0.9), world.trained(0.95)
    asked = replace(CHECK, action="check", merge_commit="")
    edited = replace(asked, project=edits.get("project", asked.project), task_name=edits.get("task_name", "train"))
    for check, task, rerun in ((asked, judged, False), (edited, of_rerun, True)):
        run = world.run(check, pipeline="pr_check", end="completed", origin=prefix, rerun=rerun)
        verdict = {"verdict": {"candidate": {"id": task}}}
        run_results.store(world.clearml, world.project.step(run.id, "report"), verdict)
    assert world.promote()["outcome"] == "passed"
    assert world.tagged() == [of_rerun if counts else judged]


def test_promote__checks_of_several_names__takes_the_task_that_its_own_name_judged(world: World) -> None:
    tasks = {name: world.trained(0.9) for name in ("digits", "letters")}
    for name, task in tasks.items():
        check = replace(CHECK, action="check", merge_commit="", name=name)
        run = world.run(check, pipeline="pr_check", end="completed")
        judged = {"verdict": {"candidate": {"id": task}}}
        run_results.store(world.clearml, world.project.step(run.id, "report"), judged)
    world.promote(replace(CHECK, name="digits"))
    assert world.tagged() == [tasks["digits"]]
    (move,) = promotion_ledger.moves(world.clearml, world.run().project)
    assert move.name == "digits"


def at_the_check(
    world: World, task: str, check: Check, *, remote: str = "", compared: bool = True, doubt: str = ""
) -> Any:
    """The step `promote` of a check whose other steps have ended; `remote` is the outcome of its remote run."""
    check = replace(
        check, action="check", merge_commit="", promote="on-pass", until="first-iteration" if remote else "off"
    )
    run = world.run(check, pipeline="pr_check")
    found = {"candidate": {"id": task, "project_id": world.project.id}, "doubt": doubt}
    run_results.store(world.clearml, world.project.step(run.id, "find_task"), found)
    if remote:
        run_results.store(world.clearml, world.project.step(run.id, "remote_run"), {"outcome": remote})
    if compared and check.gates:
        step = world.project.step(run.id, "compare")
        run_results.store(world.clearml, step, compare.compare(services.of_agent(world.clearml), run))
    return promote_step.promote(services.of_agent(world.clearml), run)


def test_promote__on_pass__moves_at_the_check_itself(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.79)
    result = at_the_check(world, new, CHECK)
    assert (result["promotion"]["from"], world.tagged()) == ([old], [new])


@pytest.mark.parametrize(
    ("accuracy", "remote", "compared", "gates", "moves"),
    [
        (0.9, "passed", True, (GATE,), True),
        (0.9, "not_needed", True, (GATE,), True),
        (0.9, "no_evidence", True, (GATE,), False),
        (0.9, "error", True, (GATE,), False),
        (0.7, "passed", True, (GATE,), False),
        (0.9, "passed", False, (GATE,), False),
        (0.7, "passed", False, (), True),
        (0.7, "no_evidence", False, (), False),
    ],
    ids=[
        *("all-pass", "run-already", "does-not-run", "was-not-run", "worse", "not-compared"),
        *("no-gates", "no-gates-and-does-not-run"),
    ],
)
def test_promote__on_pass__moves_only_where_every_judging_step_passes(
    world: World, accuracy: float, remote: str, compared: bool, gates: tuple[Gate, ...], moves: bool
) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(accuracy)
    result = at_the_check(world, new, replace(CHECK, gates=gates), remote=remote, compared=compared)
    assert (result["outcome"], world.tagged()) == ("passed", [new if moves else old])


# --- what is wrong ------------------------------------------------------------------------------------------


def test_promote__judged_task_in_another_project__is_refused_before_anything_is_tagged(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    elsewhere = world.client.call("projects.create", name=f"{world.project.name} elsewhere")["id"]
    judged = replace(world, project=replace(world.project, id=elsewhere)).trained(0.9)
    checked = world.run(replace(CHECK, action="check", merge_commit=""), pipeline="pr_check", end="completed")
    verdict = {"verdict": {"candidate": {"id": judged}}}
    run_results.store(world.clearml, world.project.step(checked.id, "report"), verdict)
    with pytest.raises(UsageError) as raised:
        world.promote()
    assert str(raised.value) == (
        f"the tag stays where it is: the task {judged} is in the project '{world.project.name} elsewhere', "
        f"but baselines are taken from '{world.project.name}'"
    )
    assert (world.tagged(), world.tagged("main_branch")) == ([old], [])
    with pytest.raises(UsageError, match="is in the project"):
        at_the_check(world, judged, CHECK)


def test_promote__never_checked_and_never_run__is_no_evidence_and_says_both(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    result = world.promote()
    assert result["outcome"] == "no_evidence"
    assert "pull request #7 was merged, but it was never checked, and no task named 'train'" in result["reason"]
    assert world.tagged() == [old]


def test_promote__best_deleted_since__is_an_error_and_rollback_helps(world: World) -> None:
    first = world.trained(0.7, commit=OLD_COMMIT, tags=(TAG,))
    best = world.trained(0.8, commit="e" * 40)
    world.promote(replace(CHECK, commit="e" * 40))
    world.client.call("tasks.delete", task=best, force=True)
    world.trained(0.9)
    result = world.promote()
    assert result["outcome"] == "error"
    assert f"no task carries the tag 'Best', which a promotion gave to the task {best}" in result["reason"]
    assert world.tagged() == []
    world.rollback()
    assert world.tagged() == [first]


def test_compare__promoted_best_that_is_missing__is_an_error_and_no_first_model(world: World) -> None:
    best = world.trained(0.8)
    world.promote()
    world.client.call("tasks.update_tags", ids=[best], remove_tags=[TAG])
    run = world.run(replace(CHECK, action="check", merge_commit=""), pipeline="pr_check")
    candidate = {"id": world.trained(0.9), "project_id": world.project.id}
    run_results.store(world.clearml, world.project.step(run.id, "find_task"), {"candidate": candidate})
    result = compare.compare(services.of_agent(world.clearml), run)
    assert result["outcome"] == "error"
    assert "which a promotion gave to the task" in result["reason"]


def test_promote__archived_best__is_an_error_and_moves_nothing(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    world.client.call("tasks.archive", tasks=[old])
    world.trained(0.9)
    result = world.promote()
    assert (result["outcome"], "is archived" in result["reason"]) == ("error", True)
    assert world.tagged() == [old]


def test_promote__project_that_does_not_exist__is_refused_and_moves_nothing(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    world.trained(0.9)
    with pytest.raises(UsageError, match=f"no ClearML project '{world.project.name}x': "):
        world.promote(replace(CHECK, project=f"{world.project.name}x"))
    assert (world.tagged(), world.tagged("main_branch")) == ([old], [])


def test_promote__tag_moved_by_hand_to_a_better_one__stays_there(world: World) -> None:
    world.trained(0.9)
    world.promote()
    by_hand = world.trained(0.99, commit=OLD_COMMIT)
    world.client.call("tasks.update_tags", ids=world.tagged(), remove_tags=[TAG])
    world.client.call("tasks.update_tags", ids=[by_hand], add_tags=[TAG])
    assert world.promote()["outcome"] == "passed"
    assert world.tagged() == [by_hand]


def cloned(world: World, task: str, accuracy: float) -> str:
    """A clone that was trained: it has the tags of its source."""
    clone = str(world.client.call("tasks.clone", task=task, new_task_name="train")["id"])
    world.client.call("tasks.started", task=clone)
    world.client.call("tasks.completed", task=clone)
    world.project.report(clone, accuracy)
    return clone


@pytest.mark.parametrize("launched", [False, True], ids=["of its own", "of a run"])
def test_promote__clone_of_the_best__is_no_baseline_until_a_user_moves_the_tag(world: World, launched: bool) -> None:
    more: dict[str, Any] = {"parent": world.run().id} if launched else {}
    best = world.trained(0.8, commit="e" * 40, **more)
    world.move(best)
    clone = cloned(world, best, 0.99)
    candidate = world.trained(0.85)
    judged = judge(world, candidate)
    assert (judged["outcome"], judged["baseline"]["id"]) == ("improved", best)
    assert [
        text for text in judged["warnings"] if f"({clone}) does not count: it is a clone of the task {best}" in text
    ]
    world.client.call("tasks.update_tags", ids=[best], remove_tags=[TAG])
    assert judge(world, candidate)["baseline"]["id"] == clone
    world.client.call("tasks.update_tags", ids=[best], add_tags=[TAG])
    assert world.promote()["promotion"]["moved"] is True
    assert world.tagged() == [candidate]


def test_promote__clone_that_runs_the_merged_commit__is_judged_and_carries_the_tag_only_if_it_is_better(
    world: World,
) -> None:
    for accuracy, moves in ((0.7, False), (0.9, True)):
        best = world.trained(0.8, commit=OLD_COMMIT)
        world.client.call("tasks.update_tags", ids=world.tagged(), remove_tags=[TAG])
        world.client.call("tasks.update_tags", ids=[best], add_tags=[TAG])
        clone = cloned(world, best, accuracy)
        assert world.move(clone)["promotion"]["moved"] is moves
        assert world.tagged() == [clone if moves else best]


def judge(world: World, candidate: str) -> Any:
    """The result of a check that has found this candidate."""
    run = world.run(replace(CHECK, action="check"), pipeline="pr_check")
    step = world.project.step(run.id, "find_task")
    document = recorded_task.as_document(task_records.read(world.clearml, candidate))
    run_results.store(world.clearml, step, {"candidate": document})
    return compare.compare(services.of_agent(world.clearml), run)


def test_promote__no_task_name__takes_the_tag_from_no_other_model(world: World) -> None:
    """Another check has a task name; the ledger tells which tasks got the tag by checks without one."""
    other = world.trained(0.8, name="train A", commit=OLD_COMMIT)
    world.move(other, replace(CHECK, task_name="train A"))
    by_hand = world.trained(0.8, name="train H", commit=OLD_COMMIT, tags=(TAG,))
    unnamed = replace(CHECK, task_name="")
    first, second = world.trained(0.9, name="train B"), world.trained(0.95, name="train C")
    moved = world.move(first, unnamed)
    assert (moved["promotion"]["moved"], world.tagged()) == (True, sorted([other, by_hand, first]))
    assert [text for text in moved["warnings"] if "the tag 'Best' stays on 2 tasks with another name" in text]
    assert world.move(second, unnamed)["promotion"]["from"] == [first]
    assert world.tagged() == sorted([other, by_hand, second])
    world.client.call("tasks.update_tags", ids=[second], remove_tags=[TAG])
    assert world.undo(unnamed)["promotion"]["to"] == first
    assert world.tagged() == sorted([other, by_hand, first])


def test_promote__rerun_of_an_older_merge__does_not_move_the_tag_back(world: World) -> None:
    older, newer = world.trained(0.8), world.trained(0.8, commit="e" * 40)
    passing = replace(CHECK, promote="passing")
    world.move(older, passing)
    world.move(newer, passing)
    assert "was replaced by a later one" in world.move(older, passing)["reason"]
    assert world.tagged() == [newer]


def test_promote__tagged_beside_a_better_one__leaves_the_tag_to_that_one(world: World) -> None:
    """An interrupted run left this, before a better model was merged."""
    better = world.trained(0.95, commit=OLD_COMMIT, tags=(TAG,))
    world.trained(0.9, tags=(TAG,))
    assert world.promote()["promotion"]["moved"] is False
    assert world.tagged() == [better]


def test_promote__tag_that_cannot_be_read_back__takes_nothing_from_the_old_best(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.9)

    @dataclass
    class Forgetful(ClearML):
        def call(self, endpoint: str, **request: Any) -> Any:
            return {} if endpoint == "tasks.update_tags" else super().call(endpoint, **request)

    with pytest.raises(ClearMLError, match="cannot be read back: nothing was taken from any other task"):
        world.move(new, session=Forgetful(world.clearml.host, world.clearml.authorization))
    assert world.tagged() == [old]


def test_promote__pull_request_as_github_has_it__must_be_merged_at_this_very_commit(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = proposed(tmp_path)
    monkeypatch.setenv("GITHUB_API_URL", hub.server.api_url)
    monkeypatch.setenv("GITHUB_TOKEN", hub.server.token("workflow", repository=FULL_NAME, permissions=JOB))
    pull = replace(PULL, repository=FULL_NAME, number=1, github_api=hub.server.api_url)
    check = replace(CHECK, pull_request=pull)
    world.trained(0.9)
    with pytest.raises(UsageError, match=r"pull request #1 is not merged \(open\): the tag stays"):
        world.promote(check)
    hub.repository.get_pull(1).merge()
    with pytest.raises(UsageError, match=f"was merged at [0-9a-f]{{10}}, not at {COMMIT[:10]}"):
        world.promote(check)
    hub.server.stop()
    assert world.tagged() == []


# --- rollback -----------------------------------------------------------------------------------------------


def test_rollback__twice__goes_back_one_promotion_each(world: World) -> None:
    tasks = [world.trained(accuracy, commit=commit * 40) for accuracy, commit in ((0.7, "1"), (0.8, "2"), (0.9, "3"))]
    for task in tasks:
        world.move(task)
    seen = []
    for _ in range(2):
        result = world.rollback()
        seen.append((result["outcome"], world.tagged()))
    assert seen == [("passed", [tasks[1]]), ("passed", [tasks[0]])]
    with pytest.raises(UsageError, match="no earlier baseline can take it back \\(there was none before\\)"):
        world.rollback()
    assert world.tagged() == [tasks[0]]


def named(world: World, move: Move) -> pipeline_runs.Run:
    """A rollback that a job has started for this move."""
    run = world.run(replace(CHECK, action="rollback", project=world.project.name))
    item = {"section": "Args", "name": "_undoes", "value": move.run}
    world.client.call("tasks.edit_hyper_params", task=run.id, hyperparams=[item])
    return pipeline_runs.read(world.clearml, run.id)


def test_rollback__started_twice_for_one_move__undoes_no_other(world: World) -> None:
    tasks = [world.trained(accuracy, commit=commit * 40) for accuracy, commit in ((0.7, "1"), (0.8, "2"), (0.9, "3"))]
    for task in tasks:
        world.move(task)
    (last, *_) = promotion_ledger.moves(world.clearml, world.run().project)
    runs = [named(world, last), named(world, last)]
    results = [promote_step.promote(_services(world.clearml), run) for run in [*runs, runs[0]]]
    assert [(result["outcome"], result["promotion"]["moved"]) for result in results] == [
        *(("passed", True), ("passed", False), ("passed", True)),  # the last one repeats the first: it reports its own
    ]
    assert results[2] == results[0]
    assert f"was undone already, by run {runs[0].id}" in results[1]["reason"]
    assert results[1]["promotion"]["pull_request"] == last.pull_request
    assert world.tagged() == [tasks[1]]


def test_rollback__run_that_is_executed_again__undoes_no_second_promotion(world: World) -> None:
    """Also one that names no promotion: a user started it in ClearML."""
    tasks = [world.trained(accuracy, commit=commit * 40) for accuracy, commit in ((0.7, "1"), (0.8, "2"), (0.9, "3"))]
    for task in tasks:
        world.move(task)
    run = world.run(replace(CHECK, action="rollback", project=world.project.name))
    first, second = (promote_step.promote(_services(world.clearml), run) for _ in range(2))
    assert first == second
    assert world.tagged() == [tasks[1]]


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_step__server_away_from_any_request_on__moves_the_tag_when_it_is_back(world: World, action: str) -> None:
    for number in range(0, MOST_REQUESTS, 3):
        check, old, new = before_a_move(world, action, number)
        clock = fast_clock()

        def away(at: int, number: int = number, clock: Clock = clock) -> None:
            if at >= number and clock.monotonic() < OUTAGE:
                raise UnansweredError("no answer")

        agent, run = _services(world.watched(away), clock), world.run(check).id
        result: Any = step.result_of(promote_step.promote, agent, run)
        assert result["outcome"] == "passed", result
        assert {old, new} & {*world.tagged()} == {new if action == "promote" else old}
        states = [move.state for move in moves_of(world, check.task_name)]
        assert states == ["moved"] * (1 if action == "promote" else 2)


def before_a_move(world: World, action: str, number: int) -> tuple[Check, str, str]:
    """A model of its own, with its old and its new task: the new one is the baseline already if a rollback follows."""
    name = f"train {action} {number}"
    check = replace(CHECK, task_name=name, action=action)
    old = world.trained(0.8, name=name, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.9, name=name)
    if action == "rollback":
        world.move(new, replace(check, action="promote"))
    return check, old, new


def moves_of(world: World, name: str) -> list[Move]:
    return [move for move in promotion_ledger.moves(world.clearml, world.run().project) if move.task_name == name]


def test_step__server_that_stays_away__is_a_fault(world: World) -> None:
    clock = fast_clock()

    def away(at: int) -> None:
        if at > 3:
            raise UnansweredError("no answer")

    result = step.result_of(promote_step.promote, _services(world.watched(away), clock), world.run().id)
    assert result["fault"] == "no answer"
    assert clock.monotonic() == pytest.approx(PATIENCE, abs=3)


def test_rollback__promotion_since_it_was_requested__is_refused(world: World) -> None:
    tasks = [world.trained(accuracy, commit=commit * 40) for accuracy, commit in ((0.7, "1"), (0.8, "2"), (0.9, "3"))]
    world.move(tasks[0])
    world.move(tasks[1])
    (last, *_) = promotion_ledger.moves(world.clearml, world.run().project)
    rollback = named(world, last)
    world.move(tasks[2])
    with pytest.raises(UsageError, match=f"the promotion to undo is that of run {last.run}, and the last one is"):
        promote_step.promote(_services(world.clearml), rollback)
    assert world.tagged() == [tasks[2]]


def test_rollback__of_a_merge__is_not_taken_back_by_a_repeated_promotion(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    world.trained(0.9)
    world.promote()
    world.rollback()
    assert "was rolled back" in world.promote()["reason"]
    assert world.tagged() == [old]


@pytest.mark.parametrize("moved", [False, True], ids=["beside-the-old-best", "alone"])
def test_rollback__interrupted_promotion__is_the_one_that_is_undone(world: World, moved: bool) -> None:
    first, second = world.trained(0.7, commit="1" * 40), world.trained(0.8, commit="2" * 40)
    third = world.trained(0.9, commit="3" * 40)
    world.move(first)
    world.move(second)
    world.interrupted(third)
    if moved:  # it died later, before its record
        world.client.call("tasks.update_tags", ids=[second], remove_tags=[TAG])
    result = world.rollback()
    assert (result["outcome"], world.tagged()) == ("passed", [second])
    assert "was rolled back" in world.move(third)["reason"]
    world.rollback()
    assert world.tagged() == [first]


def test_rollback__from_the_run_of_another_pull_request__is_about_the_one_that_it_undoes(world: World) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.9)
    world.promote()
    other = replace(PULL, number=9)
    check = replace(CHECK, action="rollback", pull_request=other, commit="f" * 40, merge_commit="9" * 40)
    promotion = world.promote(check)["promotion"]
    assert (promotion["pull_request"], promotion["commit"], promotion["merge_commit"]) == (7, COMMIT, MERGE)
    assert "rollback of pull request #7" in notes(world, old)
    assert "rollback of pull request #7" in notes(world, new)


def test_rollback__nothing_recorded__is_refused(world: World) -> None:
    world.trained(0.8, tags=(TAG,))
    with pytest.raises(UsageError, match="no promotion of the tag 'Best' is recorded"):
        world.rollback()


def test_rollback__tag_moved_by_hand_since__is_refused_and_changes_nothing(world: World) -> None:
    world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    world.trained(0.9)
    world.promote()
    by_hand = world.trained(0.5, commit="e" * 40)
    world.client.call("tasks.update_tags", ids=world.tagged(), remove_tags=[TAG])
    world.client.call("tasks.update_tags", ids=[by_hand], add_tags=[TAG])
    with pytest.raises(UsageError, match="it was moved by hand since"):
        world.rollback()
    assert world.tagged() == [by_hand]


@pytest.mark.parametrize(
    ("why", "words"),
    [
        ("moved by hand", "it was moved by hand since"),
        ("previous gone", "is gone"),
        ("first best", "there was none before"),
    ],
    ids=["moved-by-hand", "previous-gone", "first-best"],
)
def test_rollback__by_the_trigger__is_refused_before_anything_is_started(
    world: World, prefix: str, why: str, words: str
) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=() if why == "first best" else (TAG,))
    new = world.trained(0.9)
    world.promote()
    if why == "moved by hand":
        world.client.call("tasks.update_tags", ids=[new], remove_tags=[TAG])
        by_hand = world.trained(0.5, commit="e" * 40, tags=(TAG,))
    elif why == "previous gone":
        world.client.call("tasks.delete", task=old, force=True)
    environ = {"GITHUB_REPOSITORY": "o/n", "CLEARML_CI_PIPELINE_PROJECT": f"{prefix} CI"}
    with pytest.raises(UsageError, match=words):
        start.rollback(environ, poll.started(fast_clock()))
    assert world.tagged() == [by_hand if why == "moved by hand" else new]


def test_rollback__previous_best_deleted__is_refused_and_the_tag_stays(world: World) -> None:
    old = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.9)
    world.promote()
    world.client.call("tasks.delete", task=old, force=True)
    with pytest.raises(UsageError, match=f"{old} is gone"):
        world.rollback()
    assert world.tagged() == [new]


# --- interrupted, repeated, concurrent -----------------------------------------------------------------------


def test_promote__twice__moves_once(world: World) -> None:
    world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.9)
    first, second = world.promote(), world.promote()
    assert (first["promotion"]["moved"], second["promotion"]["moved"]) == (True, False)
    assert second["reason"] == "it carries the tag already"
    assert (world.tagged(), world.ledger()) == ([new], [("promote", "moved", new)])


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_move__interrupted_at_any_request_and_repeated__ends_right_and_there_is_always_a_best(
    world: World, action: str
) -> None:
    number, died = 0, True
    while died:
        died = _interrupted_at(world, number, action)
        number += 1
    assert 8 < number < MOST_REQUESTS


def _interrupted_at(world: World, number: int, action: str) -> bool:
    """A move that dies with its run at its request of this number, and another run's; False if it had ended before."""
    check, old, new = before_a_move(world, action, number)

    def die(at: int) -> None:
        assert {old, new} & {*world.tagged()}
        if at == number:
            raise DiedError

    def act(session: ClearML, run: pipeline_runs.Run) -> None:
        own = replace(check, project=world.project.name)
        if action == "rollback":
            promotions.rollback(_services(session), run, own)
        else:
            promotions.promote(_services(session), run, own, task_records.read(world.clearml, new))

    first = world.run(check)
    try:
        act(world.watched(die), first)
        died = False
    except DiedError:
        died = True
        for end in ("started", "failed"):
            world.client.call(f"tasks.{end}", task=first.id)
        done = (action, "moved", new if action == "promote" else old)
        if action == "promote" or world.ledger()[0] != done:  # one more rollback undoes one more promotion
            act(world.clearml, world.run(check))
        assert world.ledger()[0] == done
    assert {old, new} & {*world.tagged()} == {new if action == "promote" else old}
    return died


def test_promote__interrupted_at_any_request_and_repeated__reports_as_if_it_had_run_once(world: World) -> None:
    reports: list[Any] = []
    number, died = 0, True
    while died:
        died, result, old = _promoted_by_one_run(world, number)
        moved = result["promotion"]["moved"], result["promotion"]["from"] == [old]
        gates = [(gate["value"], gate["baseline"], gate["reason"]) for gate in result["gates"]]
        judged = result["baseline"] and result["baseline"]["id"] == old, gates, result["warnings"]
        reports.append((result["outcome"], result["reason"].partition(" (")[0], judged, moved))
        number += 1
    assert number > 8
    assert reports == reports[-1:] * number
    assert reports[0][3] == (True, True)


def _promoted_by_one_run(world: World, number: int) -> tuple[bool, Any, str]:
    """What a run reports that died at its request of this number, and was started again; the old best."""
    name = f"train {number}"
    check = replace(CHECK, task_name=name, project=world.project.name)
    old = world.trained(0.8, name=name, commit=OLD_COMMIT, tags=(TAG,))
    run, candidate = world.run(check), task_records.read(world.clearml, world.trained(0.9, name=name))

    def die(at: int) -> None:
        if at == number:
            raise DiedError

    died = False
    with contextlib.suppress(DiedError):
        died = True
        promotions.promote(_services(world.watched(die)), run, check, candidate)
        died = False
    return died, promotions.promote(_services(world.clearml), run, check, candidate), old


@pytest.mark.parametrize(
    ("modes", "kept"),
    [
        (("better", "better"), {0.95}),
        (("passing", "passing"), {0.9, 0.95}),
        (("better", "passing"), {0.9, 0.95}),
        (("passing", "better"), {0.9, 0.95}),
    ],
    ids=["better", "passing", "better-then-passing", "passing-then-better"],
)
@pytest.mark.parametrize("values", [(0.9, 0.95), (0.95, 0.9)], ids=["better-second", "better-first"])
def test_promote__another_one_in_between__leaves_exactly_one_best(
    world: World, modes: tuple[str, str], kept: set[float], values: tuple[float, float]
) -> None:
    for moment in itertools.count(1, 4):
        name = f"train {moment}"
        one_asked, two_asked = (replace(CHECK, task_name=name, promote=mode) for mode in modes)
        old = world.trained(0.8, name=name, commit=OLD_COMMIT, tags=(TAG,))
        one, two = (world.trained(value, name=name) for value in values)
        act = Once(lambda t=two, a=two_asked: world.move(t, a))  # type: ignore[misc]
        world.move(one, one_asked, session=in_between(world, {old, one, two}, moment, act))
        if not act.done:  # the first one has fewer requests than that
            return
        (left,) = {old, one, two} & {*world.tagged()}
        assert dict(zip((one, two), values, strict=True)).get(left) in kept


@pytest.mark.parametrize("interrupted", [False, True], ids=["done", "interrupted"])
@pytest.mark.parametrize("first", ["promote", "rollback"])
def test_rollback__promotion_of_another_one_at_once__leaves_exactly_one_best(
    world: World, first: str, interrupted: bool
) -> None:
    for moment in itertools.count(1, 4):
        check = replace(CHECK, task_name=f"train {moment}")
        old = world.trained(0.8, name=check.task_name, commit=OLD_COMMIT, tags=(TAG,))
        undone, new = (world.trained(value, name=check.task_name) for value in (0.9, 0.95))
        (world.interrupted if interrupted else world.move)(undone, check)

        def act(which: str, session: ClearML | None = None, *, new: str = new, check: Check = check) -> None:
            with contextlib.suppress(UsageError, ClearMLError):  # nothing to undo any more, or it waits for the other
                if which == "rollback":
                    world.undo(check, session=session)
                else:
                    world.move(new, check, session=session, goes_on=True)

        second = Once(lambda a=act: a("rollback" if first == "promote" else "promote"))  # type: ignore[misc]
        act(first, in_between(world, {old, undone, new}, moment, second))
        if not second.done:
            return
        if len({old, undone, new} & {*world.tagged()}) > 1:
            act("rollback")  # its message asks to run it again
        assert len({old, undone, new} & {*world.tagged()}) == 1


@dataclass
class Once:
    """Something to do once, and whether it is done."""

    act: Callable[[], object]
    done: bool = False

    def __call__(self) -> None:
        self.done = True
        self.act()


def in_between(world: World, tasks: set[str], moment: int, act: Once) -> Watched:
    """A session in which another mover acts before one request, and one of these tasks is the best before each."""

    def look(at: int) -> None:
        assert tasks & {*world.tagged()}
        if at == moment:
            act()

    return world.watched(look)


def test_rollback__of_a_promotion_that_goes_on__waits_until_it_has_settled(world: World) -> None:
    """It has read that the old best ranks lower, and will take the tag from it: not once the rollback is through."""
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.9)
    undone: list[dict[str, Any]] = []
    undoing = threading.Thread(target=lambda: undone.append(world.undo(clock=Clock())))

    def begin_to_undo() -> None:
        undoing.start()
        while "rollback" not in str(best_tag.stamps(world.clearml, [old])):
            time.sleep(0.05)
        undoing.join(1.5)
        assert undoing.is_alive()

    act = Once(begin_to_undo)

    @dataclass
    class Watching(ClearML):
        def call(self, endpoint: str, **request: Any) -> Any:
            if request.get("remove_tags") == [TAG] and not act.done:
                act()
            return super().call(endpoint, **request)

    world.move(new, session=Watching(world.clearml.host, world.clearml.authorization), goes_on=True)
    undoing.join(20)
    assert world.tagged() == [new]
    assert undone[0]["outcome"] == "error"
    assert f"the task {new} became the baseline concurrently" in undone[0]["reason"]


def test_promote__tag_taken_by_hand_and_given_to_one_that_is_none__is_told_and_not_taken_for_lost(world: World) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.9)
    draft = world.project.task(end=None)

    @dataclass
    class Meddled(ClearML):
        def call(self, endpoint: str, **request: Any) -> Any:
            if request.get("tags") == [TAG] and new in world.tagged():
                world.client.call("tasks.update_tags", ids=[old, new], remove_tags=[TAG])
                world.client.call("tasks.update_tags", ids=[draft], add_tags=[TAG])
            return super().call(endpoint, **request)

    with pytest.raises(ClearMLError, match="cannot be read back"):
        world.move(new, session=Meddled(world.clearml.host, world.clearml.authorization))
    assert world.tagged() == [draft]


def test_rollback__promotion_that_hangs__is_told_and_leaves_a_best(world: World) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.9)

    @dataclass
    class Dies(ClearML):
        def call(self, endpoint: str, **request: Any) -> Any:
            if request.get("remove_tags") == [TAG]:
                raise DiedError
            return super().call(endpoint, **request)

    with pytest.raises(DiedError):
        world.move(new, session=Dies(world.clearml.host, world.clearml.authorization), goes_on=True)
    with pytest.raises(ClearMLError, match="is moving the tag 'Best' as well, and does not end"):
        world.undo()
    assert world.tagged() == sorted([old, new])


# --- servers and ledgers ------------------------------------------------------------------------------------


def test_moves__cloned_run__does_not_count_as_a_move(world: World) -> None:
    new = world.trained(0.9)
    run = world.run()
    check = replace(CHECK, project=world.project.name)
    promotions.promote(_services(world.clearml), run, check, task_records.read(world.clearml, new))
    world.client.call("tasks.clone", task=run.id)
    assert world.ledger() == [("promote", "moved", new)]


def test_moves__more_than_a_page__are_all_found_or_a_word_is_said(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two = world.trained(0.8), world.trained(0.9, commit="e" * 40)
    for task in (one, two, one, two, one) * 21:
        move = replace(MOVE, run=world.run().id, to=task)
        promotion_ledger.record(world.clearml, move)
    assert len(world.ledger()) == 105
    assert "are read" not in capsys.readouterr().out
    monkeypatch.setattr(promotion_ledger, "_MOST", 100)
    assert len(world.ledger()) == 100
    assert "only the newest 100 promotions" in capsys.readouterr().out


def test_moves__two_requests__find_them_all(world: World) -> None:
    world.move(world.trained(0.9))
    project, before = world.run().project, world.clearml.requests
    assert len(promotion_ledger.moves(world.clearml, project)) == 1
    assert world.clearml.requests == before + 2


def test_record__controllers_own_configuration__stays(world: World) -> None:
    new, run = world.trained(0.9), world.run()
    item = {"name": "Pipeline", "type": "json", "value": "{}"}
    world.client.call("tasks.edit", task=run.id, configuration={"Pipeline": item})
    check = replace(CHECK, project=world.project.name)
    promotions.promote(_services(world.clearml), run, check, task_records.read(world.clearml, new))
    stored = world.client.call("tasks.get_by_id", task=run.id)["task"]["configuration"]
    assert set(stored) == {"Pipeline", "ledger"}
    assert json.loads(stored["ledger"]["value"])["merge_commit"] == MERGE


def test_add_tag__server_without_update_tags__writes_what_it_read(world: World) -> None:
    task = world.trained(0.9, tags=("mine",))

    @dataclass
    class Older(ClearML):
        def call(self, endpoint: str, **request: Any) -> Any:
            return super().call(endpoint.replace("update_tags", "update_tagz"), **request)

    older = Older(world.clearml.host, world.clearml.authorization)
    best_tag.add_tag(older, task, TAG)
    assert world.client.call("tasks.get_by_id", task=task)["task"]["tags"] == sorted([TAG, "mine"])
    best_tag.remove_tag(older, [task], TAG)
    assert world.client.call("tasks.get_by_id", task=task)["task"]["tags"] == ["mine"]


def test_add_tag__task_that_is_gone__is_told(world: World) -> None:
    with pytest.raises(ClearMLError, match=r"tasks\.update_tags: the ClearML server refused"):
        best_tag.add_tag(world.clearml, "0" * 32, TAG)
