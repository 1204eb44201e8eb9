"""Gates that know the noise, on a ClearML server: from the tasks of a commit and of the reference to a verdict."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from clearml_ci.clearml_api import pipeline_runs
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.gate import Gate
from clearml_ci.operations import main_history
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Facts, PullRequest
from steps import compare, find_task
from tests.gateways import services
from tests.gateways.conftest import COMMIT, Project

GATE = Gate("accuracy", "validation", tolerance=0.5)
PULL = PullRequest("o/n", 7, ("https://github.com/o/n.git",), "http://none", base="main", default_branch="main")
FACTS = Facts(committed={COMMIT: "2020-01-01T00:00:00+00:00"})
CHECK = Check(COMMIT, PULL, "", "", (GATE,), "Best", facts=FACTS, baseline_main=False)
SPREAD = (0.94, 0.96, 0.95, 0.945, 0.955, 0.94, 0.96, 0.95, 0.945, 0.955)
BEST, REFERENCE = "Best", "Best: reference"
ALONE = 7  # requests of find_task and compare


def args(**values: str) -> dict[str, Any]:
    return {"Args": {name: {"section": "Args", "name": name, "value": value} for name, value in values.items()}}


@dataclass(frozen=True)
class World:
    """A project of the test's own with a reference, and hands to train and to check a commit."""

    clearml: ClearML
    project: Project

    def trained(self, accuracy: float, *, seed: int = 1337, commit: str = COMMIT, lr: str = "1", **more: Any) -> str:
        task = self.project.task(commit=commit, hyperparams=args(seed=str(seed), lr=lr), **more)
        self.project.report(task, accuracy)
        return task

    def reference(self, *values: float, tags: tuple[str, ...] = (REFERENCE,), lr: str = "1") -> list[str]:
        """Runs of main's commits, one each, of which the first is the best as well."""
        return [
            self.trained(
                value, seed=number, commit=f"{number:040x}", tags=[*tags, *([BEST] if not number else [])], lr=lr
            )
            for number, value in enumerate(values)
        ]

    def check(self, **changes: Any) -> Any:
        """The result of `compare`, after `find_task` has looked for the commit's runs."""
        check = replace(CHECK, project=self.project.name, **changes)
        run = pipeline_runs.read(self.clearml, self.project.run(**check.to_arguments()))
        found = find_task.find_task(services.of_agent(self.clearml), run)
        services.leave_result(self.clearml, self.project.step(run.id, "find_task"), found)
        return compare.compare(services.of_agent(self.clearml), run)


@pytest.fixture
def world(clearml: ClearML, project: Project) -> World:
    return World(clearml, project)


def test_check__nothing_changed_and_the_best_was_lucky__passes(world: World) -> None:
    world.reference(*sorted(SPREAD, reverse=True))
    world.trained(0.945)
    plain, ours = world.check(rule="best-ever"), world.check()
    assert (plain["outcome"], ours["outcome"]) == ("regressed", "passed")
    row = ours["gates"][0]
    assert (row["value"], row["baseline"], row["outcome"]) == (0.945, 0.96, "passed")
    noise = row["noise"]
    assert (noise["runs"], noise["reference_runs"], noise["reference"]) == (1, 10, pytest.approx(0.95))
    assert noise["difference"] == pytest.approx(-0.005)
    assert noise["low"] < noise["difference"] < noise["high"]
    assert noise["words"].startswith("Worse by 0.5 % (99 %:")
    assert "with 1 run against 10 of main; a loss of " in noise["words"]
    assert row["note"].startswith("the tolerance of 0.5 % lies below the noise, which decides instead: ")
    assert " would hold; with `rule: best-ever`, " in row["note"]
    assert plain["gates"][0]["noise"] is None
    assert "of changes that do nothing are red; " in plain["gates"][0]["note"]


@pytest.mark.parametrize("undecided", ["passed", "inconclusive"])
def test_check__suspicious_loss_that_no_repeat_may_clear__is_what_the_policy_asks_for(
    world: World, undecided: str
) -> None:
    world.reference(*SPREAD)
    world.trained(0.935)
    assert world.check(undecided=undecided)["outcome"] == undecided


def test_check__task_that_was_given_the_name_of_a_worse_model__is_judged_by_the_baseline(world: World) -> None:
    world.trained(0.95, commit="e" * 40, tags=[BEST], name="big")
    world.reference(*(value - 0.15 for value in SPREAD))
    for task in world.project.client.call("tasks.get_all", tags=[REFERENCE], project=[world.project.id])["tasks"]:
        world.project.client.call("tasks.update_tags", ids=[task["id"]], remove_tags=[BEST])
    world.trained(0.81)
    result = world.check()
    assert (result["outcome"], result["gates"][0]["noise"]) == ("regressed", None)
    assert "The baseline is named 'big', so the noise of 'train' decides nothing." in result["warnings"]


def test_check__runs_that_a_user_archived__are_named(world: World) -> None:
    world.reference(*SPREAD)
    unlucky = world.trained(0.90, seed=1)
    world.trained(0.95, seed=2)
    world.project.client.call("tasks.archive", tasks=[unlucky])
    assert "1 other run of this commit does not count: archived." in world.check()["warnings"]


def test_check__real_loss__is_regressed_although_the_newest_run_is_lucky(world: World) -> None:
    world.reference(*SPREAD)
    for seed, accuracy in enumerate((0.91, 0.915, 0.905, 0.945)):
        world.trained(accuracy, seed=seed)
    result = world.check()
    assert (result["outcome"], result["gates"][0]["value"], result["gates"][0]["noise"]["runs"]) == (
        "regressed",
        0.945,
        4,
    )
    assert result["reason"] == "accuracy/validation is worse than main, beyond its noise, by more than 0.5 %"


def test_check__other_configuration_of_the_commit__does_not_count_and_is_named(world: World) -> None:
    world.reference(*SPREAD)
    world.trained(0.5, lr="9")
    world.trained(0.95)
    result = world.check()
    assert (result["outcome"], result["gates"][0]["noise"]["runs"]) == ("passed", 1)
    assert "1 other run of this commit does not count: not comparable: Args/lr is 9, was 1." in result["warnings"]


def test_check__hyperparameter_that_the_policy_calls_the_seed__joins_the_runs(world: World) -> None:
    world.reference(*SPREAD)
    world.trained(0.94, lr="7")
    world.trained(0.96, lr="8")
    assert world.check(seed="Args/lr")["gates"][0]["noise"]["runs"] == 2
    assert world.check()["gates"][0]["noise"]["runs"] == 1


def test_check__reference_of_other_inputs__decides_nothing(world: World) -> None:
    world.reference(*SPREAD, lr="2")
    world.trained(0.95)
    result = world.check(alike=MatchRules(hyperparameters=("Args/lr",)))
    assert (result["outcome"], result["gates"][0]["noise"]) == ("inconclusive", None)


@pytest.mark.parametrize(("number", "missing"), [(1, "4 more runs"), (4, "1 more run")])
def test_check__few_runs_of_main__are_judged_by_the_tolerance_and_it_says_so(
    world: World, number: int, missing: str
) -> None:
    world.reference(*SPREAD[:number])
    world.trained(0.9)
    row = world.check()["gates"][0]
    assert (row["outcome"], row["noise"]) == ("regressed", None)
    assert row["note"] == (
        f"the noise is unknown until main has {missing}, which `calibrate` makes: the tolerance around the baseline "
        "decides"
    )


def test_check__clone_of_a_run_of_the_reference__does_not_count(world: World) -> None:
    first, *_ = world.reference(*SPREAD[:5])
    world.trained(0.2, commit="f" * 40, tags=[REFERENCE], parent=first)
    world.trained(0.95)
    assert world.check()["gates"][0]["noise"]["reference_runs"] == 5


def test_check__run_of_the_reference_itself__is_compared_with_the_others(world: World) -> None:
    world.reference(*SPREAD)
    world.trained(0.2, tags=[REFERENCE])
    result = world.check()
    assert (result["outcome"], result["gates"][0]["noise"]["reference_runs"]) == ("regressed", 10)


def test_check__any_length_of_the_history__costs_the_same_requests(world: World) -> None:
    def cost() -> int:
        before = world.clearml.requests
        world.check()
        return world.clearml.requests - before

    candidate = world.trained(0.95)
    world.reference(0.95)
    alone = cost()
    world.reference(*SPREAD, tags=(REFERENCE, "main_branch"))
    of_ten = cost()
    for number in range(110):  # more than a page
        world.project.task(commit=f"{1000 + number:040x}", tags=["main_branch"], end=None)
    assert (alone, of_ten, cost()) == (ALONE, ALONE, ALONE)
    document: Any = {
        "gates": world.check()["gates"],
        "candidate": {"id": candidate, "name": "train", "project_id": world.project.id, "commit": COMMIT},
    }
    before = world.clearml.requests
    main_history.read(world.clearml, replace(CHECK, project=world.project.name), document)
    assert world.clearml.requests == before + 2


def test_check__commit_that_an_agent_trained_again__counts_with_all_its_runs(world: World) -> None:
    world.reference(*SPREAD)
    for seed, accuracy in enumerate((0.91, 0.905)):
        world.trained(accuracy, seed=seed)
    lucky = world.trained(0.945, seed=9)
    check = replace(CHECK, project=world.project.name, candidate="train", until="completion")
    run = pipeline_runs.read(world.clearml, world.project.run(**check.to_arguments()))
    candidate = {"id": lucky, "project_id": world.project.id}
    services.leave_result(world.clearml, world.project.step(run.id, "remote_run"), {"candidate": candidate})
    result: Any = compare.compare(services.of_agent(world.clearml), run)
    assert (result["outcome"], result["gates"][0]["noise"]["runs"]) == ("regressed", 3)


def test_history__runs_of_the_default_branch__are_its_last_20_clean_ones_oldest_first(world: World) -> None:
    world.reference(*SPREAD, tags=(REFERENCE, "main_branch"))
    values = [0.9 + number / 1000 for number in range(12)]
    for number, value in enumerate(values):
        world.trained(value, commit=f"{100 + number:040x}", tags=["main_branch"])
    world.trained(0.1, commit="e" * 40, tags=["main_branch"], end="failed")
    candidate = world.trained(0.95)
    result = world.check()
    check = replace(CHECK, project=world.project.name)
    before = world.clearml.requests
    document: Any = {
        "gates": result["gates"],
        "candidate": {"id": candidate, "name": "train", "project_id": world.project.id, "commit": COMMIT},
    }
    history = main_history.read(world.clearml, check, document)[0]
    assert world.clearml.requests == before + 2  # the project's name, and all runs
    assert (history.values, history.candidate) == ((*SPREAD[2:], *values), 0.95)
    assert history.low < 0.95 < history.high
    document["gates"][0]["noise"] = None
    assert main_history.read(world.clearml, check, document) == {}
