"""A promotion or a rollback with a reference: a step that dies anywhere, and is executed again, ends as if run once."""

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from clearml_ci.clearml_api import reference_ledger
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.comparability import MatchRules
from clearml_ci.decisions import reference_tags
from clearml_ci.parameters.check import Check
from steps import promote as promote_step
from tests.gateways import services
from tests.gateways.conftest import COMMIT
from tests.gateways.test_noise import SPREAD, args
from tests.gateways.test_promotion import CHECK, TAG, DiedError, World, no_credentials, world

__all__ = ["no_credentials", "world"]  # fixtures

NAMES = reference_tags.names(TAG)
REFERENCE, MAIN = NAMES.runs, "main_branch"
ANYTHING = MatchRules()


@dataclass
class Dying(ClearML):
    """A session whose process is killed after its n-th change: to die after a request that reads is the same."""

    number: int = 0
    changes: int = 0

    def call(self, endpoint: str, **request: Any) -> Any:
        if self.changes == self.number:
            raise DiedError
        answer = super().call(endpoint, **request)
        self.changes += ".get_" not in endpoint
        return answer


@dataclass(frozen=True)
class Case:
    """Runs of main with these tags, values and learning rate, of which the second is the baseline; and the merged."""

    tags: tuple[str, ...] = (REFERENCE,)
    values: Sequence[float] = SPREAD
    merged: float = 0.951
    lr: str = "1"
    alike: MatchRules = ANYTHING


CASES = {
    "fills": Case(values=SPREAD[:6]),
    "begins": Case(tags=(MAIN,), values=SPREAD[:5]),
    "begins-anew-with-a-gain": Case(values=SPREAD[:6], merged=0.999),
    "begins-anew-with-other-inputs": Case(
        values=SPREAD[:6], lr="2", alike=MatchRules(hyperparameters=("Args/lr",), difference="warn")
    ),
}
GAIN = CASES["begins-anew-with-a-gain"]


@dataclass(frozen=True)
class Stage:
    """One case under a name of its own, so that many can be played in one project."""

    world: World
    check: Check
    tasks: Mapping[str, str]  # by what they are

    def run(self, action: str = "promote") -> Run:
        return self.world.run(replace(self.check, action=action))

    def act(self, run: Run, session: ClearML) -> Any:
        return promote_step.promote(services.of_agent(session), run)

    def end_run(self, run: Run) -> None:
        for what in ("started", "completed"):
            self.world.client.call(f"tasks.{what}", task=run.id)

    def dies(self, run: Run, number: int) -> bool:
        session = Dying(self.world.clearml.host, self.world.clearml.authorization, number=number)
        try:
            self.act(run, session)
        except DiedError:
            return True
        return False

    def end(self, *runs: Run, result: Any) -> Any:
        """What is left: the result, tags and stamps of all tasks, ledger and recorded changes."""
        tasks = {what: self.world.client.call("tasks.get_by_id", task=id_)["task"] for what, id_ in self.tasks.items()}
        stamped = {
            name: [what for _, what in sorted((float(re.findall(r"[\d.]+", text)[0]), what) for what, text in found)]
            for name in ("clearml_ci_best_since", "clearml_ci_reference_since")
            if (found := [(what, task["runtime"][name]) for what, task in tasks.items() if name in task["runtime"]])
        }
        changes = [reference_ledger.change_of(self.world.clearml, run.id) for run in runs]
        left = {
            "result": result,
            "tags": {what: sorted(task.get("tags") or []) for what, task in tasks.items()},
            "stamped": stamped,
            "ledger": self._moves(runs),
            "changes": [reference_tags.as_entry(change) if change else None for change in changes],
        }
        text = json.dumps(left, default=str).replace(self.check.task_name, "train")
        for what, id_ in (*self.tasks.items(), *((f"run {number}", run.id) for number, run in enumerate(runs))):
            text = text.replace(id_, what).replace(id_[:8], what)
        return json.loads(text)

    def _moves(self, runs: Sequence[Run]) -> list[Any]:
        configurations = [
            self.world.client.call("tasks.get_by_id", task=run.id)["task"]["configuration"] for run in runs
        ]
        moves = [json.loads(found["ledger"]["value"]) for found in configurations if "ledger" in found]
        return [{name: value for name, value in move.items() if name != "at"} for move in moves]


def staged(world: World, case: Case, number: int) -> Stage:
    name = f"train {number}"
    check = replace(CHECK, task_name=name, project=world.project.name, alike=case.alike)
    tasks = {
        f"main {position}": world.trained(
            value,
            name=name,
            commit=f"{position:040x}",
            tags=(*case.tags, *([TAG] if position == 1 else [])),
            hyperparams=args(seed=str(position), lr="1"),
        )
        for position, value in enumerate(case.values)
    }
    merged = world.trained(case.merged, name=name, commit=COMMIT, hyperparams=args(seed="99", lr=case.lr))
    return Stage(world, check, {**tasks, "merged": merged})


def ends(world: World, case: Case, play: Callable[[Stage, int], tuple[bool, Any]]) -> list[Any]:
    """The ends after a death at each change, the last of which comes after all."""
    found: list[Any] = []
    for number in itertools.count():
        died, end = play(staged(world, case, number), number)
        found.append(end)
        if not died:
            return found
    raise AssertionError


def promoted(stage: Stage, number: int) -> tuple[bool, Any]:
    run = stage.run()
    died = stage.dies(run, number)
    result = stage.act(run, stage.world.clearml) if died else None
    return died, stage.end(run, result=result)


def clean(world: World, case: Case) -> Any:
    stage = staged(world, case, 1000)
    run = stage.run()
    return stage.end(run, result=stage.act(run, world.clearml))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_promote__killed_after_any_change_and_executed_again__ends_as_if_executed_once(
    world: World, case: Case
) -> None:
    expected = clean(world, case)
    found = ends(world, case, promoted)[:-1]
    assert len(found) > 1
    assert found == [expected] * len(found)


def test_rollback__killed_after_any_change_and_executed_again__ends_as_if_executed_once(world: World) -> None:
    def rolled_back(stage: Stage, number: int | None) -> tuple[bool, Any]:
        first, second = stage.run(), stage.run("rollback")
        stage.act(first, world.clearml)
        stage.end_run(first)
        died = number is not None and stage.dies(second, number)
        result = stage.act(second, world.clearml) if died or number is None else None
        return died, stage.end(first, second, result=result)

    _, expected = rolled_back(staged(world, GAIN, 1000), None)
    found = ends(world, GAIN, rolled_back)[:-1]
    assert len(found) > 1
    assert found == [expected] * len(found)


@pytest.mark.parametrize("later", ["by-hand", "rollback"])
def test_promote__executed_again_after_its_run_was_taken_out_of_the_reference__leaves_it_out(
    world: World, later: str
) -> None:
    stage = staged(world, CASES["fills"], 0)
    run = stage.run()
    stage.act(run, world.clearml)
    if later == "rollback":
        stage.act(stage.run("rollback"), world.clearml)
    else:
        world.client.call("tasks.update_tags", ids=[stage.tasks["merged"]], remove_tags=[REFERENCE])
    stage.act(run, world.clearml)
    assert stage.tasks["merged"] not in world.tagged(REFERENCE)


def test_promote__killed_after_any_change_and_started_by_a_new_run__leaves_the_same_reference(world: World) -> None:
    """The new run may judge otherwise, as it compares with the reference that the killed one made."""

    def promoted_anew(stage: Stage, number: int) -> tuple[bool, Any]:
        died = stage.dies(stage.run(), number)
        if died:
            stage.act(stage.run(), world.clearml)
        return died, of_reference(stage.end(result=None))

    expected = of_reference(clean(world, GAIN))
    found = ends(world, GAIN, promoted_anew)[:-1]
    assert found == [expected] * len(found)


def of_reference(end: Any) -> dict[str, list[str]]:
    return {task: [tag for tag in tags if tag != TAG] for task, tags in end["tags"].items()}


def test_rollback__of_a_merge_whose_first_run_was_killed_after_any_change__restores_the_reference(
    world: World,
) -> None:
    def undone(stage: Stage, number: int) -> tuple[bool, Any]:
        first, second = stage.run(), stage.run()
        died = stage.dies(first, number)
        stage.end_run(first)
        if died:
            stage.act(second, world.clearml)
            stage.end_run(second)
        stage.act(stage.run("rollback"), world.clearml)
        return died, of_reference(stage.end(result=None))

    found = ends(world, CASES["fills"], undone)[:-1]
    before = {task: [REFERENCE] for task in found[0] if task != "merged"}
    assert found == [{**before, "merged": [MAIN]}] * len(found)
