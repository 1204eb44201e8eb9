"""The reference on a ClearML server: filled by merges, begun anew by a credible gain, restored by a rollback."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from clearml_ci.clearml_api import reference_ledger
from clearml_ci.core.comparability import MatchRules
from clearml_ci.operations import reference_change
from tests.gateways import services
from tests.gateways.conftest import COMMIT
from tests.gateways.test_noise import SPREAD, args
from tests.gateways.test_promotion import CHECK, TAG, World, no_credentials, world

__all__ = ["no_credentials", "world"]  # fixtures

REFERENCE, GAIN, EARLIER = f"{TAG}: reference", f"{TAG}: gain", f"{TAG}: earlier reference"
MAIN = "main_branch"


def trained(world: World, accuracy: float, *, seed: int = 99, commit: str = COMMIT, tags: Sequence[str] = ()) -> str:
    return world.trained(accuracy, commit=commit, tags=tuple(tags), hyperparams=args(seed=str(seed)))


def of_main(world: World, *tags: str, values: Sequence[float] = SPREAD) -> list[str]:
    """Runs of main, one for each commit, of which the second, the luckiest, is the baseline."""
    return [
        trained(world, value, seed=number, commit=f"{number:040x}", tags=[*tags, *([TAG] if number == 1 else [])])
        for number, value in enumerate(values)
    ]


def tags(world: World) -> tuple[list[str], list[str], list[str]]:
    return world.tagged(REFERENCE), world.tagged(GAIN), world.tagged(EARLIER)


def test_promote__merges__fill_the_reference_that_begins_with_those_before_until_it_is_full(world: World) -> None:
    before = of_main(world, MAIN, values=SPREAD[:9])
    filled = trained(world, 0.951)
    world.promote()
    assert world.tagged(REFERENCE) == sorted([*before, filled])
    trained(world, 0.952, commit="e" * 40)
    world.promote(replace(CHECK, commit="e" * 40))
    assert world.tagged(REFERENCE) == sorted([*before, filled])


def test_promote__more_runs_of_main_than_fit__begin_with_the_newest(world: World) -> None:
    runs = of_main(world, MAIN, values=(*SPREAD, 0.951, 0.949))
    trained(world, 0.95)
    world.promote()
    assert world.tagged(REFERENCE) == sorted(runs[-10:])


def test_promote__as_good_by_the_estimate__moves_the_tag_and_not_the_reference(world: World) -> None:
    """By the luckiest run, 0.96, neither would."""
    reference = of_main(world, REFERENCE)
    lower = trained(world, 0.9495)
    stays = world.promote()
    assert (stays["outcome"], stays["promotion"]["moved"]) == ("passed", False)
    assert stays["reason"].startswith("the tag stays where it is: accuracy/validation: Worse by 0.1 % (99 %: -2.3 to ")
    higher = trained(world, 0.9505, commit="e" * 40)
    assert world.promote(replace(CHECK, commit="e" * 40))["promotion"]["moved"]
    assert world.tagged() == [higher]
    assert tags(world) == (sorted(reference), [], [])
    assert lower not in world.tagged(REFERENCE)


def test_promote__credible_loss_that_was_merged__is_no_part_of_the_reference(world: World) -> None:
    reference = of_main(world, REFERENCE, values=SPREAD[:8])
    trained(world, 0.7)
    result = world.promote()
    assert (result["promotion"]["moved"], tags(world)) == (False, (sorted(reference), [], []))


def test_promote__credible_gain__begins_the_reference_anew_and_rollback_restores_it(world: World) -> None:
    reference = of_main(world, REFERENCE)
    better = trained(world, 0.99)
    result = world.promote()
    assert result["notes"][1:] == [
        "The reference begins anew: accuracy/validation is better than main, beyond its noise."
    ]
    assert result["reason"].endswith("is better than main, beyond its noise; the reference begins anew")
    assert tags(world) == ([], [better], sorted(reference))
    trained(world, 0.985, commit="e" * 40, seed=5)
    world.promote(replace(CHECK, commit="e" * 40))
    assert len(world.tagged(REFERENCE)) == 1
    assert world.promote()["promotion"]["moved"] is False  # the first once more
    assert (world.tagged(GAIN), world.tagged(EARLIER)) == ([better], sorted(reference))
    assert world.rollback()["promotion"]["moved"]
    assert world.rollback()["promotion"]["moved"]
    assert tags(world) == (sorted(reference), [], [])


def test_rollback__of_a_merge_that_filled_the_reference__takes_its_run_out_once(world: World) -> None:
    reference = of_main(world, REFERENCE, values=SPREAD[:8])
    trained(world, 0.955, seed=7)
    world.promote()
    later = trained(world, 0.95, commit="e" * 40, seed=8)
    world.promote(replace(CHECK, commit="e" * 40, promote="on-pass"))
    assert len(world.tagged(REFERENCE)) == 10
    world.rollback()
    assert world.tagged(REFERENCE) == sorted([*reference, later])
    world.promote()  # the merge that was rolled back
    assert world.tagged(REFERENCE) == sorted([*reference, later])


def test_change_of__clone_of_a_run__is_none(world: World) -> None:
    of_main(world, MAIN, values=SPREAD[:5])
    trained(world, 0.951)
    world.promote()
    runs = world.client.call("tasks.get_all", project=[world.pipelines["promote"]], only_fields=["id"])["tasks"]
    (run,) = runs
    assert reference_ledger.change_of(world.clearml, run["id"]) is not None
    clone = world.client.call("tasks.clone", task=run["id"])["id"]
    assert reference_ledger.change_of(world.clearml, clone) is None


def test_promote__metric_of_another_test_set__begins_the_reference_anew_and_compares_nothing(world: World) -> None:
    """The next checks are told what differs until a user gives the baseline's tag to a run of the new test set."""
    of_main(world, REFERENCE)
    alike = MatchRules(hyperparameters=("Args/test_set",))
    merged = world.trained(0.6, hyperparams=args(seed="99", test_set="hard"))
    result = world.promote(replace(CHECK, alike=alike))
    assert (result["outcome"], result["promotion"]["moved"]) == ("inconclusive", False)
    assert result["reason"].endswith("Args/test_set is hard, was not set; the reference begins anew")
    assert tags(world) == ([merged], [], [])


def test_promote__run_of_the_reference_without_a_value__does_not_count(world: World) -> None:
    of_main(world, REFERENCE, values=SPREAD[:8])
    diverged = world.project.task(commit="f" * 40, tags=[REFERENCE], hyperparams=args(seed="98"))
    world.project.report(diverged, math.nan)
    trained(world, 0.951)
    noise = world.promote()["gates"][0]["noise"]
    assert (noise["reference_runs"], noise["degrees_of_freedom"]) == (8, 7)


@pytest.mark.parametrize(("accuracy", "outcome"), [(0.998, "passed"), (0.96, "regressed")], ids=["one-more", "many"])
def test_promote__runs_that_are_all_perfect__have_a_noise_all_the_same(
    world: World, accuracy: float, outcome: str
) -> None:
    of_main(world, REFERENCE, values=[1.0] * 10)
    trained(world, accuracy)
    (gate,) = world.promote()["gates"]
    assert (gate["outcome"], gate["noise"]["sd"]) == (outcome, 0.01)


def test_after_calibration__inputs_that_alike_calls_different__leaves_the_reference_to_merges(world: World) -> None:
    reference = of_main(world, REFERENCE, values=SPREAD[:3])
    calibrated = [
        world.trained(value, commit="e" * 40, hyperparams=args(seed=str(seed), lr="2"))
        for seed, value in enumerate(SPREAD[:2])
    ]
    agent, own = services.of_agent(world.clearml), replace(CHECK, project=world.project.name)
    strict = replace(own, alike=MatchRules(hyperparameters=("Args/lr",)))
    (note,) = reference_change.after_calibration(agent, strict, calibrated, "main")
    assert note.startswith("the reference stays as it is, and a merge will begin it anew: not comparable: Args/lr is 2")
    assert (world.tagged(REFERENCE), world.tagged(f"{TAG}: calibration")) == (sorted(reference), sorted(calibrated))
    assert reference_change.after_calibration(agent, own, calibrated, "main") == []
    assert world.tagged(REFERENCE) == sorted([*reference, *calibrated])


def test_after_calibration__rollback_of_an_earlier_gain__leaves_the_calibrated_noise(world: World) -> None:
    reference = of_main(world, REFERENCE)
    trained(world, 0.99)
    world.promote()
    calibrated = [trained(world, 0.99 + seed / 1000, seed=seed, commit="e" * 40) for seed in range(5)]
    own = replace(CHECK, project=world.project.name)
    reference_change.after_calibration(services.of_agent(world.clearml), own, calibrated, "main")
    assert (world.tagged(REFERENCE), world.tagged(EARLIER)) == (sorted(calibrated), sorted(reference))
    world.rollback()
    assert (world.tagged(REFERENCE), world.tagged(f"{TAG}: calibration")) == (sorted(reference), sorted(calibrated))
