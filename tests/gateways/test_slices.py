"""Slices and checkpoints on a ClearML server: what a check asks for, and what it makes of the answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership, pipeline_runs, run_results
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.gate import Gate
from clearml_ci.decisions import reference_tags
from clearml_ci.operations import chart_curves, main_history, noise_figures
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from sandbox.runtime.clearml_access import Client
from steps import compare
from tests.gateways import services
from tests.gateways.conftest import COMMIT, Project

REPOSITORY = "https://github.com/o/n.git"
ACCURACY = Gate("accuracy", "validation", tolerance=3.0)
EACH = Gate("per class", "*", tolerance=3.0)
BEST = "best of accuracy/validation"
CHECK = Check(COMMIT, PullRequest("o/n", 7, (REPOSITORY,), "http://none"), "", "train", (EACH,), "Best")
NAMES = reference_tags.names("Best")

Curves = Mapping[tuple[str, str], Sequence[float]]


@dataclass(frozen=True)
class World:
    """A project of the test's own, and hands to add runs and to run the step."""

    client: Client
    clearml: ClearML
    project: Project

    def run(self, curves: Curves, *, number: int = 0, **more: Any) -> str:
        """A run of a commit of its own with a seed of its own; `number` 0 is the candidate."""
        seed = {"Args": {"seed": {"section": "Args", "name": "seed", "value": f"{number}"}}}
        commit = f"{number:040x}" if number else COMMIT
        task = self.project.task(commit=commit, hyperparams=seed, end=None, **more)
        self.client.call("tasks.started", task=task)
        self.client.events(
            [
                {"type": "training_stats_scalar", "task": task, "metric": title, "variant": series, **point}
                for (title, series), values in curves.items()
                for point in ({"iter": number, "value": value} for number, value in enumerate(values))
            ]
        )
        self.client.call("tasks.completed", task=task)
        return task

    def compare(self, candidate: str, *gates: Gate, **changes: Any) -> Any:
        check = replace(CHECK, project=self.project.name, gates=gates or CHECK.gates, **changes)
        run = self.project.task(name="pr_check", end=None, type="controller", hyperparams={"Args": _args(check)})
        step = self.project.task(name="find_task", end=None, parent=run)
        ownership.mark(self.clearml, step, run=run, purpose="step")
        found = {"candidate": {"id": candidate, "project_id": self.project.id}, "main_baseline": None}
        run_results.store(self.clearml, step, found)
        return compare.compare(services.of_agent(self.clearml), pipeline_runs.read(self.clearml, run))


def _args(check: Check) -> dict[str, Any]:
    return {name: {"section": "Args", "name": name, "value": value} for name, value in check.to_arguments().items()}


def each(**values: float) -> dict[tuple[str, str], list[float]]:
    return {("per class", name): [value] for name, value in values.items()}


@pytest.fixture
def world(client: Client, clearml: ClearML, project: Project) -> World:
    return World(client, clearml, project)


def test_compare__slices__each_is_judged_and_new_and_missing_ones_are_named(world: World) -> None:
    world.run(each(cat=0.9, dog=0.8, ant=0.7), number=1, tags=["Best"])
    found = world.compare(world.run(each(cat=0.91, dog=0.7, eel=0.5)))
    outcomes = {row["series"]: str(row["outcome"]) for row in found["gates"]}
    assert outcomes == {"ant": "inconclusive", "dog": "regressed", "cat": "improved", "eel": "no_baseline"}
    (of,) = found["slices"]
    assert (of["total"], of["regressed"], of["inconclusive"], of["held"], of["new"]) == (4, 1, 1, 2, ["per class/eel"])
    assert (found["outcome"], found["reason"]) == (
        "regressed",
        "per class/dog is worse than the baseline by more than 3 %",
    )


def test_compare__slices_that_all_hold__pass_and_the_worst_five_are_shown(world: World) -> None:
    best = {f"c{number}": 0.9 for number in range(42)}
    world.run(each(**best), number=1, tags=["Best"])
    found = world.compare(world.run(each(**{name: 0.9 - 0.0001 * int(name[1:]) for name in best})))
    assert (found["outcome"], found["reason"]) == ("passed", "all 42 required gates hold: per class/* (42 slices)")
    assert [row["series"] for row in found["gates"]] == ["c41", "c40", "c39", "c38", "c37"]
    assert (found["slices"][0]["held"], found["slices"][0]["shown"]) == (42, 5)
    assert list(found["runs"][0]["values"]) == [f"per class/c{number}" for number in range(41, 36, -1)]


def test_compare__pattern_that_matches_nothing__is_inconclusive_with_the_nearest_name(world: World) -> None:
    world.run(each(cat=0.9), number=1, tags=["Best"])
    found = world.compare(world.run(each(cat=0.9)), Gate("per clas", "*"))
    assert (found["outcome"], found["slices"]) == ("inconclusive", [])
    assert found["reason"] == "the task of this commit reported no per clas/*; did you mean 'per class/*'?"


def test_compare__pattern_that_only_the_baseline_matches__is_inconclusive_for_each(world: World) -> None:
    world.run(each(cat=0.9, dog=0.9), number=1, tags=["Best"])
    found = world.compare(world.run({("accuracy", "validation"): [0.9]}))
    assert [row["outcome"] for row in found["gates"]] == ["inconclusive"] * 2
    assert "no per class/cat, a slice of per class/* that the default branch has" in found["reason"]


def test_compare__pattern_that_only_this_commit_matches__is_inconclusive_unless_it_is_the_first_model(
    world: World,
) -> None:
    candidate = world.run(each(cat=0.9, dog=0.8))
    first = world.compare(candidate)
    assert (first["outcome"], first["slices"][0]["new"], len(first["gates"])) == ("no_baseline", [], 2)
    world.run({("accuracy", "validation"): [0.9]}, number=1, tags=["Best"])
    found = world.compare(candidate)
    assert (found["outcome"], found["reason"]) == (
        "inconclusive",
        "per class/*: the baseline reported no series that matches",
    )


def test_compare__slice_that_main_dropped_since__is_no_gate(world: World) -> None:
    for number in range(1, 7):
        world.run(each(cat=0.9, old=0.9), number=number, tags=[NAMES.runs])
    world.run(each(cat=0.9), number=9, tags=["Best"])
    assert [row["series"] for row in world.compare(world.run(each(cat=0.9)))["gates"]] == ["cat"]


def test_compare__slice_that_main_added_since__is_asked_for(world: World) -> None:
    world.run(each(cat=0.9), number=9, tags=["Best"])
    world.run(each(cat=0.9, later=0.9), number=1, tags=[NAMES.runs])
    found = world.compare(world.run(each(cat=0.9)))
    assert {row["series"]: row["outcome"] for row in found["gates"]} == {"later": "inconclusive", "cat": "passed"}


def test_compare__five_thousand_slices__the_limit_of_clearml_is_named(world: World) -> None:
    many = each(**{f"c{number}": 0.9 for number in range(5_000)})
    best = world.run(many, number=1, tags=["Best"])
    found = world.compare(world.run(many))
    assert found["outcome"] == "inconclusive"
    assert "has 2,000 series, and ClearML keeps no more than 2,000 of a task: slices may be missing" in found["reason"]
    assert (found["slices"][0]["held"], len(found["gates"])) == (2_000, 6)
    assert found["baseline"]["id"] == best


def noisy(number: int, names: Sequence[str], **loss: float) -> dict[tuple[str, str], list[float]]:
    """Values of slices that differ by the seed: 0.9 and a spread of about 0.01."""
    return each(**{
        name: round(0.9 + ((number * 7 + index * 3) % 11 - 5) * 0.003 - loss.get(name, 0.0), 4)
        for index, name in enumerate(names)
    })  # fmt: skip


def test_compare__known_noise__slices_are_judged_by_it_and_corrected_for_their_number(world: World) -> None:
    names = [f"c{number}" for number in range(40)]
    for number in range(1, 11):
        world.run(noisy(number, names), number=number, tags=[NAMES.runs, "main_branch", *(["Best"] * (number == 1))])
    same = world.compare(world.run(noisy(21, names)), replace(EACH, tolerance=0.0))
    assert (same["outcome"], same["slices"][0]["regressed"]) == ("passed", 0)
    found = world.compare(world.run(noisy(21, names, c7=0.3), name="train"), replace(EACH, tolerance=0.0))
    assert (found["outcome"], found["gates"][0]["series"]) == ("regressed", "c7")
    assert found["gates"][0]["noise"]["reference_runs"] == 10


def test_compare__five_hundred_slices_and_a_hundred_runs__cost_as_many_requests_as_one_of_each(world: World) -> None:
    names = [f"c{number}" for number in range(500)]
    many = reference_tags.names("Best of many")

    def cost(candidate: str, *gates: Gate, **changes: Any) -> tuple[int, str]:
        before = world.clearml.requests
        found = world.compare(candidate, *gates, **changes)
        task = {"id": candidate, "name": "train", "commit": COMMIT, "project_id": world.project.id}
        document: Any = {"gates": found["gates"], "candidate": task}
        main_history.read(world.clearml, replace(CHECK, project=world.project.name, gates=gates), document)
        return world.clearml.requests - before, str(found["outcome"])

    for number in range(1, 7):
        world.run(noisy(number, ["cat"]), number=number, tags=[NAMES.runs, "main_branch", *(["Best"] * (number == 1))])
    one, _ = cost(world.run(noisy(30, ["cat"])), Gate("per class", "cat"))
    for number in range(101, 111):
        best = ["Best of many"] * (number == 101)
        world.run(noisy(number, names), number=number, tags=[many.runs, "main_branch", *best])
    for number in range(111, 201):
        world.run(noisy(number, names), number=number, tags=[many.calibrated, "main_branch"])
    candidate = world.run({**noisy(30, names), ("accuracy", "validation"): [0.9]})
    assert cost(candidate, EACH, best_tag="Best of many") == (one, "passed")


def test_compare__checkpoint__costs_one_more_request_however_many_gates(world: World) -> None:
    names = [f"c{number}" for number in range(50)]
    for number in range(1, 11):
        world.run({**noisy(number, names), ("accuracy", "validation"): [0.9]}, number=number, tags=[NAMES.runs])
    world.run({**noisy(11, names), ("accuracy", "validation"): [0.9]}, number=11, tags=["Best"])
    candidate = world.run({**noisy(30, names), ("accuracy", "validation"): [0.9]})

    def cost(*gates: Gate, **changes: Any) -> int:
        before = world.clearml.requests
        world.compare(candidate, *gates, **changes)
        return world.clearml.requests - before

    own = cost(EACH, ACCURACY)
    assert cost(EACH, ACCURACY, at=BEST) == cost(ACCURACY, at=BEST) == own + 1


def curves(accuracy: Sequence[float], test: Sequence[float], **more: Sequence[float]) -> Curves:
    return {("accuracy", "validation"): accuracy, ("accuracy", "test"): test} | {
        ("per class", name): values for name, values in more.items()
    }


TEST = Gate("accuracy", "test")


def test_compare__one_checkpoint__judges_one_model_and_names_the_other_verdict(world: World) -> None:
    """Each metric at its own best is better; at the iteration of the best validation accuracy, the test is worse."""
    world.run(curves([0.5, 0.9, 0.8], [0.5, 0.8, 0.8]), number=1, tags=["Best"])
    candidate = world.run(curves([0.5, 0.95, 0.8], [0.5, 0.7, 0.85]))
    own = world.compare(candidate, ACCURACY, TEST)
    assert own["outcome"] == "improved"
    found = world.compare(candidate, ACCURACY, TEST, at=BEST)
    assert (found["outcome"], found["reason"]) == ("regressed", "accuracy/test is worse than the baseline")
    assert [(row["value"], row["baseline"], row["at"]) for row in found["gates"]] == [
        (0.95, 0.9, BEST),
        (0.7, 0.8, BEST),
    ]
    assert found["warnings"][0].startswith(
        "With each metric at its own iteration, the outcome would be improved, not regressed: "
    )


def test_compare__one_gate_at_the_last_iteration__reads_that_one_there(world: World) -> None:
    world.run(curves([0.5, 0.9, 0.8], [0.5, 0.8, 0.7]), number=1, tags=["Best"])
    found = world.compare(world.run(curves([0.5, 0.95, 0.8], [0.5, 0.9, 0.7])), ACCURACY, replace(TEST, at="last"))
    assert [(row["value"], row["baseline"], row["at"]) for row in found["gates"]] == [
        (0.95, 0.9, ""),
        (0.7, 0.7, "last"),
    ]


def test_compare__slices_at_a_checkpoint__are_read_there(world: World) -> None:
    world.run(curves([0.5, 0.9], [0.1], cat=[0.9, 0.5], dog=[0.2, 0.6]), number=1, tags=["Best"])
    found = world.compare(world.run(curves([0.5, 0.9], [0.1], cat=[0.9, 0.4], dog=[0.9, 0.6])), EACH, ACCURACY, at=BEST)
    values = {row["series"]: (row["value"], str(row["outcome"])) for row in found["gates"]}
    assert values == {"cat": (0.4, "regressed"), "dog": (0.6, "passed"), "validation": (0.9, "passed")}


@pytest.mark.parametrize("lacks", ["candidate", "baseline"])
def test_compare__run_without_the_metric_of_the_checkpoint__is_inconclusive_with_its_name(
    world: World, lacks: str
) -> None:
    whole, part = curves([0.5, 0.9], [0.5, 0.8]), {("accuracy", "test"): [0.5, 0.8]}
    world.run(part if lacks == "baseline" else whole, number=1, tags=["Best"])
    candidate = world.run(part if lacks == "candidate" else whole)
    found = world.compare(candidate, TEST, replace(ACCURACY, required=False), at=BEST)
    assert found["outcome"] == "inconclusive"
    assert "the run has no curve of accuracy/validation, by which its checkpoint is chosen" in found["reason"]


def test_compare__run_of_the_reference_without_the_metric__does_not_count_and_is_named(world: World) -> None:
    for number in range(1, 8):
        lacking = {("accuracy", "test"): [0.1, 0.8]}
        run = lacking if number == 3 else curves([0.5, 0.9], [0.5, 0.8 + number / 1000])
        world.run(run, number=number, tags=[NAMES.runs, *(["Best"] * (number == 1))])
    found = world.compare(world.run(curves([0.5, 0.9], [0.5, 0.804])), TEST, replace(ACCURACY, required=False), at=BEST)
    assert (found["outcome"], found["gates"][0]["noise"]["reference_runs"]) == ("passed", 6)
    assert found["warnings"] == [
        "1 run of the reference do not count everywhere: the run has no curve of accuracy/validation, by which its "
        "checkpoint is chosen."
    ]


def test_curves_and_noise__of_slices__are_read_for_those_that_are_shown(world: World) -> None:
    values = {name: [0.9, 0.91] for name in ("cat", "dog")}
    for number in range(1, 7):
        moved = {("per class", name): [0.5, 0.9 + number / 1000] for name in values}
        world.run(moved, number=number, tags=[NAMES.runs, "main_branch", *(["Best"] * (number == 1))])
    candidate = world.run({("per class", name): found for name, found in values.items()})
    result = world.compare(candidate)
    document: Any = {
        "candidate": {"id": candidate, "name": "train", "commit": COMMIT, "project_id": world.project.id},
        "main_baseline": None,
        "gates": result["gates"],
    }
    check = replace(CHECK, project=world.project.name)
    assert {len(curve.candidate) for curve in chart_curves.read(world.clearml, check, document).values()} == {2}
    assert [len(history.values) for history in main_history.read(world.clearml, check, document).values()] == [6, 6]
    (figures,) = noise_figures.read(world.clearml, check).values()
    assert [(found.gate.name, found.runs) for found in figures] == [("per class/cat", 6), ("per class/dog", 6)]
