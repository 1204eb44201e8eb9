"""Slices and checkpoints after a merge: the tag moves, and the reference grows, by what they hold."""

from collections.abc import Mapping
from dataclasses import replace

from clearml_ci.core.gate import Gate
from clearml_ci.decisions import reference_tags
from tests.gateways.conftest import COMMIT
from tests.gateways.test_noise import args
from tests.gateways.test_promotion import CHECK, TAG, World, no_credentials, world

__all__ = ["no_credentials", "world"]  # fixtures

EACH = Gate("per class", "*", tolerance=3.0)
ACCURACY, TEST = Gate("accuracy", "validation"), Gate("accuracy", "test")
SLICES = replace(CHECK, gates=(EACH,))
NAMES = reference_tags.names(TAG)


def trained(
    world: World, each: Mapping[str, float], *, commit: str = COMMIT, tags: tuple[str, ...] = (), seed: int = 1
) -> str:
    task = world.project.task(commit=commit, tags=list(tags), hyperparams=args(seed=str(seed)))
    for name, value in each.items():
        world.project.report(task, value, title="per class", series=name)
    return task


def test_promote__slices_that_are_better_on_average__move_the_tag_within_the_tolerance_of_each(world: World) -> None:
    trained(world, {"cat": 0.8, "dog": 0.8}, commit="b" * 40, tags=(TAG,))
    better = trained(world, {"cat": 0.83, "dog": 0.79})
    result = world.promote(SLICES)
    assert (result["promotion"]["moved"], world.tagged()) == (True, [better])
    assert (result["slices"][0]["total"], len(result["gates"])) == (2, 2)


def test_promote__slices_that_are_lower_on_average__leave_the_tag(world: World) -> None:
    best = trained(world, {"cat": 0.8, "dog": 0.8}, commit="b" * 40, tags=(TAG,))
    trained(world, {"cat": 0.8, "dog": 0.79})
    result = world.promote(SLICES)
    assert (result["outcome"], world.tagged()) == ("passed", [best])
    assert result["reason"].endswith("the slices of per class/* are lower on average, by 0.005")


def test_promote__slice_that_fails_or_is_missing__leaves_the_tag(world: World) -> None:
    best = trained(world, {"cat": 0.8, "dog": 0.8}, commit="b" * 40, tags=(TAG,))
    trained(world, {"cat": 0.9, "dog": 0.7})
    assert world.promote(SLICES)["outcome"] == "passed"
    trained(world, {"cat": 0.9}, commit="e" * 40)
    assert world.promote(replace(SLICES, commit="e" * 40))["outcome"] == "inconclusive"
    assert world.tagged() == [best]


def test_promote__many_slices_of_known_noise__fill_the_reference_and_begin_none_by_chance(world: World) -> None:
    def values(number: int) -> dict[str, float]:
        return {f"c{index}": round(0.9 + ((number * 7 + index * 3) % 11 - 5) * 0.003, 4) for index in range(30)}

    of_main = [
        trained(
            world,
            values(number),
            commit=f"{number:040x}",
            tags=(NAMES.runs, *([TAG] if number == 1 else [])),
            seed=number,
        )
        for number in range(1, 9)
    ]
    merged = trained(world, values(20), seed=20)
    result = world.promote(SLICES)
    assert result["slices"][0]["regressed"] == 0
    assert world.tagged(NAMES.runs) == sorted([*of_main, merged])
    assert world.tagged(NAMES.showed) == []


def test_promote__checkpoint__judges_the_merge_at_it(world: World) -> None:
    """Its own best test accuracy is better; where its validation accuracy is best, it is not."""
    check = replace(CHECK, gates=(ACCURACY, TEST), at="best of accuracy/validation")

    def run(validation: tuple[float, ...], test: tuple[float, ...], **more: object) -> str:
        task = world.project.task(**more)  # type: ignore[arg-type]  # fields of the task
        world.project.report(task, *validation)
        world.project.report(task, *test, title="accuracy", series="test")
        return task

    best = run((0.5, 0.9), (0.5, 0.8), commit="b" * 40, tags=[TAG])
    run((0.5, 0.95, 0.9), (0.5, 0.7, 0.9))
    stays = world.promote(check)
    assert (stays["promotion"]["moved"], world.tagged()) == (False, [best])
    assert "accuracy/test is worse than the baseline" in stays["reason"]
    better = run((0.5, 0.95, 0.9), (0.5, 0.81, 0.1), commit="e" * 40)
    assert world.promote(replace(check, commit="e" * 40))["promotion"]["moved"]
    assert world.tagged() == [better]
