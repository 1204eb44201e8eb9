"""The step `compare` on a ClearML server: what it asks for, and what it makes of the answers."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership, pipeline_runs, run_results
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.gate import Gate
from clearml_ci.operations import chart_curves
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from steps import compare
from tests.clock import fast_clock
from tests.gateways import services

REPOSITORY = "https://github.com/o/n.git"
ACCURACY = Gate("accuracy", "validation", tolerance=3.0)
LATENCY = Gate("Summary", "latency", goal="minimize", tolerance=1.0, relative=False, maximum=20.0, required=False)
CHECK = Check("c" * 40, PullRequest("o/n", 7, (REPOSITORY,), "http://none"), "", "", (ACCURACY,), "Best")


@dataclass(frozen=True)
class World:
    """A project of the test's own with a candidate, and hands to add bests and to run the step."""

    client: Client
    clearml: ClearML
    project: str
    name: str
    candidate: str

    def task(self, accuracy: list[float], *, latency: float | None = None, diff: str = "", **more: Any) -> str:
        created = str(
            self.client.call(
                "tasks.create",
                name="train",
                type="training",
                project=self.project,
                script={"repository": REPOSITORY, "version_num": "b" * 40, "diff": diff},
                **more,
            )["id"]
        )
        self.client.call("tasks.started", task=created)
        points = [("accuracy", "validation", number, value) for number, value in enumerate(accuracy)]
        points += [("Summary", "latency", -(2**31), latency)] if latency is not None else []
        self.client.events([_event(created, *point) for point in points])
        self.client.call("tasks.completed", task=created)
        return created

    def best(self, accuracy: list[float], **more: Any) -> str:
        return self.task(accuracy, tags=["Best"], **more)

    def compare(self, *gates: Gate, main: str | None = None, **changes: Any) -> Any:
        check = replace(CHECK, project=self.name, gates=gates or CHECK.gates, **changes)
        items = {n: {"section": "Args", "name": n, "value": v} for n, v in check.to_arguments().items()}
        run = self.client.call(
            "tasks.create", name="pr_check", type="controller", project=self.project, hyperparams={"Args": items}
        )["id"]
        step = self.client.call(
            "tasks.create", name="find_task", type="data_processing", project=self.project, parent=run
        )["id"]
        ownership.mark(self.clearml, step, run=run, purpose="step")
        candidate = {"id": self.candidate, "project_id": self.project}
        run_results.store(self.clearml, step, {"candidate": candidate, "main_baseline": main})
        return compare.compare(services.of_agent(self.clearml), pipeline_runs.read(self.clearml, run))


def _event(task: str, title: str, series: str, iteration: int, value: float) -> dict[str, Any]:
    point = {"task": task, "iter": iteration, "metric": title, "variant": series, "value": value}
    return {"type": "training_stats_scalar", **point}


def args(**values: str) -> dict[str, Any]:
    return {"Args": {name: {"section": "Args", "name": name, "value": value} for name, value in values.items()}}


@pytest.fixture
def world(client: Client, prefix: str, user_environment: dict[str, str]) -> World:  # noqa: ARG001  the session reads it
    name = f"{prefix} compare"
    project = client.call("projects.create", name=name)["id"]
    empty = World(client, clearml_session.connect(fast_clock()), project, name, "")
    return replace(empty, candidate=empty.task([0.5, 0.9, 0.85], latency=25.0, hyperparams=args(dataset="a", seed="1")))


def test_compare__advisory_gate_that_fails__does_not_turn_the_verdict(world: World) -> None:
    best = world.best([0.91], latency=19.0)
    result = world.compare(ACCURACY, LATENCY)
    assert (result["outcome"], result["reason"]) == ("passed", "accuracy/validation is within 3 % of the baseline")
    assert [(row["outcome"], row["required"]) for row in result["gates"]] == [("passed", True), ("regressed", False)]
    assert (result["baseline"]["id"], result["gates"][1]["value"]) == (best, 25.0)


def test_compare__bests_of_which_each_is_best_at_one_metric__each_gate_takes_its_own(world: World) -> None:
    accurate, fast = world.best([0.89], latency=30.0), world.best([0.5], latency=24.5)
    result = world.compare(ACCURACY, replace(LATENCY, maximum=None))
    assert [row["baseline_task"] for row in result["gates"]] == [accurate, fast]
    assert "2 tasks carry the tag 'Best': the best value of each metric counts." in result["warnings"]


def test_compare__dataset_that_must_be_alike__is_inconclusive_and_names_it(world: World) -> None:
    world.best([0.8], hyperparams=args(dataset="b", seed="1"))
    result = world.compare(alike=MatchRules(hyperparameters=("Args/dataset",)))
    assert (result["outcome"], result["reason"]) == ("inconclusive", "not comparable: Args/dataset is a, was b")
    assert [(row["name"], row["matters"]) for row in result["differences"]] == [("Args/dataset", True)]
    assert result["gates"][0]["value"] == 0.9


def test_compare__difference_that_only_warns__is_said_and_judged(world: World) -> None:
    world.best([0.8], hyperparams=args(dataset="b", seed="1"))
    result = world.compare(alike=MatchRules(hyperparameters=("Args/*",), difference="warn"))
    assert (result["outcome"], result["warnings"]) == ("improved", ["Not comparable: Args/dataset is a, was b."])


def test_compare__difference_that_nobody_asked_for__is_listed_only(world: World) -> None:
    world.best([0.8], hyperparams=args(dataset="a", seed="2"))
    result = world.compare()
    assert (result["outcome"], result["warnings"], result["differences_total"]) == ("improved", [], 1)
    assert result["differences"][0] | {"kind": ""} == {
        "kind": "", "name": "Args/seed", "candidate": "1", "baseline": "2", "matters": False
    }  # fmt: skip


def test_compare__best_with_uncommitted_changes__is_used_and_named(world: World) -> None:
    best = world.best([0.95], diff="changed")
    result = world.compare()
    assert (result["outcome"], result["baseline"]["id"]) == ("regressed", best)
    assert result["warnings"] == [f"The baseline (train, {best}) has uncommitted changes: its run cannot be repeated."]


def test_compare__best_that_was_archived__is_an_error_for_every_gate(world: World, client: Client) -> None:
    client.call("tasks.archive", tasks=[world.best([0.95])])
    result = world.compare(ACCURACY, LATENCY)
    assert (result["outcome"], {row["outcome"] for row in result["gates"]}) == ("error", {"error"})
    assert "is archived" in result["reason"]


def test_compare__first_model_that_misses_its_minimum__regressed(world: World) -> None:
    found = world.compare()
    assert found["outcome"] == "no_baseline"
    assert "carries the tag '" in found["reason"]
    missed = world.compare(replace(ACCURACY, minimum=0.95))
    assert (missed["outcome"], missed["baseline"], missed["differences"]) == ("regressed", None, [])


def test_compare__several_metrics_misspelt__each_is_offered_its_nearest(world: World) -> None:
    world.best([0.8])
    result = world.compare(Gate("accuracy", "validatoin"), Gate("Summary", "latancy"))
    assert result["outcome"] == "inconclusive"
    assert "did you mean 'accuracy/validation'?" in result["reason"]
    assert "did you mean 'Summary/latency'?" in result["reason"]


def test_compare__main__is_shown_beside_the_best_and_decides_nothing(world: World) -> None:
    world.best([0.8])
    main = world.task([0.99])
    shown = world.compare(main=main)
    assert (shown["outcome"], shown["main_baseline"]["id"], shown["gates"][0]["main"]) == ("improved", main, 0.99)
    hidden = world.compare(main=main, baseline_main=False)
    assert (hidden["main_baseline"], hidden["gates"][0]["main"]) == (None, None)
    gone = world.compare(main="0" * 32)
    assert (gone["outcome"], gone["main_baseline"]) == ("improved", None)


def test_curves__of_the_report__are_the_candidates_and_its_gates_bests(world: World) -> None:
    best = world.best([0.7, 0.8], latency=19.0)
    check = replace(CHECK, gates=(LATENCY, ACCURACY))
    rows = world.compare(*check.gates)["gates"]
    document: Any = {"candidate": {"id": world.candidate}, "main_baseline": None, "gates": rows}
    (drawn,) = chart_curves.read(world.clearml, check, document).items()
    assert document["gates"][1]["baseline_task"] == best
    assert [round(value, 6) for _, value in drawn[1].candidate] == [0.5, 0.9, 0.85]
    assert (drawn[0], [round(value, 6) for _, value in drawn[1].baseline]) == (1, [0.7, 0.8])
    gone: Any = {**document, "candidate": {"id": "0" * 32}}
    none: Any = {"candidate": None, "main_baseline": None, "gates": []}
    assert chart_curves.read(world.clearml, check, gone) == {}
    assert chart_curves.read(world.clearml, check, none) == {}


def test_compare__best_above_last__is_warned_about(world: World) -> None:
    world.best([0.9])
    warning = "accuracy/validation was 0.9 at its best, but ended at 0.85, which would not hold"
    assert world.compare()["warnings"] == [warning]


def test_compare__any_number_of_gates__costs_the_same_requests(world: World) -> None:
    world.best([0.8], latency=19.0)

    def cost(*gates: Gate) -> int:
        before = world.clearml.requests
        world.compare(*gates)
        return world.clearml.requests - before

    assert cost(ACCURACY) == cost(ACCURACY, LATENCY, replace(ACCURACY, value="last")) == 9  # four are the test's own


def test_compare__task_that_is_in_another_project__meets_the_best_of_the_policys(world: World, prefix: str) -> None:
    """A pull request can change the project in its own `Task.init`: that must not make it a first model."""
    best = world.best([0.95])
    elsewhere = world.client.call("projects.create", name=f"{prefix} elsewhere")["id"]
    moved = replace(world, project=elsewhere)
    moved = replace(moved, candidate=moved.task([0.5]))
    result = moved.compare()
    assert (result["outcome"], result["baseline"]["id"]) == ("regressed", best)


def test_compare__no_project__meets_the_bests_of_its_repository_and_no_others(world: World, prefix: str) -> None:
    tag = f"{prefix} best"
    best = world.task([0.95], tags=[tag])
    elsewhere = replace(world, project=world.client.call("projects.create", name=f"{prefix} elsewhere")["id"])
    foreign = elsewhere.task([0.99], tags=[tag])
    script = {"repository": "https://github.com/other/n.git", "version_num": "b" * 40, "diff": ""}
    world.client.call("tasks.edit", task=foreign, script=script, force=True)
    moved = replace(elsewhere, candidate=elsewhere.task([0.5]))
    foreign_beside = replace(moved, name="").compare(best_tag=tag)
    assert (foreign_beside["outcome"], foreign_beside["baseline"]["id"]) == (
        "regressed",
        foreign,
    )  # beside it, it counts
    alone = replace(moved, project=world.client.call("projects.create", name=f"{prefix} third")["id"], name="")
    result = replace(alone, candidate=alone.task([0.5])).compare(best_tag=tag)
    assert (result["outcome"], result["baseline"]["id"]) == ("regressed", best)
