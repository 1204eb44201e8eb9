"""Gates that know the noise, from the training to the comment: the demo's scenarios, read back from the servers."""

import pytest

from sandbox import demo
from sandbox.scenarios import catalogue
from sandbox.scenarios.noise import TAG
from sandbox.scenarios.story import Story
from tests.agents.conftest import Play


@pytest.mark.parametrize("name", list(catalogue.NOISE))
def test_scenario__played__ends_as_the_catalogue_has_it(played: Play, name: str) -> None:
    assert demo.differences(catalogue.EVERY[name], played(name)) == []


def test_unchanged__plain_rule__would_be_red(played: Play) -> None:
    """Without a tolerance, the luckiest run of main would block a change that does nothing."""
    (gate,) = played("noise-unchanged").verdict["gates"]
    assert (gate["outcome"], gate["value"] < gate["limit"]) == ("passed", True)


def test_lucky__last_run__would_hold_for_itself(played: Play) -> None:
    checked = played("noise-lucky")
    (gate,), (first,) = checked.verdict["gates"], checked.earlier
    assert (first.exit_code, gate["outcome"]) == (1, "regressed")
    assert gate["value"] > gate["limit"]


def test_renewed__merge__moves_the_tag_to_the_gain(played: Play) -> None:
    verdict = played("reference-renewed").verdict
    assert (verdict["promotion"]["moved"], verdict["promotion"]["tag"]) == (True, TAG)


def test_regressed__repeats__have_seeds_of_their_own_and_are_named(played: Play) -> None:
    checked = played("noise-regressed")
    first, *repeats = sorted(checked.verdict["runs"], key=lambda run: run["repeat"])
    (gate,) = checked.verdict["gates"]
    assert (first["seed"], first["repeat"], len(repeats) in (2, 3, 4)) == ("7", False, True)
    assert {run["seed"] for run in repeats} == {str(number + 1) for number in range(len(repeats))}
    assert len({run["values"]["accuracy/validation"] for run in repeats}) == len(repeats)
    assert gate["noise"]["runs"] == 1 + len(repeats)
    assert gate["value"] > 0.97 * 0.959666  # the plain rule, with 3 %, would let it pass
    for run in checked.verdict["runs"]:
        assert run["task"]["url"] in checked.comments[0]


def test_calibrate__check_of_another_seed_after_it__is_judged_by_the_noise_of_main(played: Play, tale: Story) -> None:
    checked = played("calibrate")
    (gate,), (calibration,) = checked.verdict["gates"], checked.earlier
    assert (gate["noise"]["reference_runs"], gate["noise"]["degrees_of_freedom"]) == (5, 4)
    assert [line.split()[:2] for line in calibration.log.splitlines() if line.startswith("accuracy/validation ")] == [
        ["accuracy/validation", "5"]
    ]
    trained = tale.clearml.call("tasks.get_all", tags=["Best of calibrated: reference"])["tasks"]
    assert {task["hyperparams"]["Args"]["seed"]["value"] for task in trained} == {"1", "2", "3", "4", "5"}
    assert len({task["last_metrics"] is None or str(task["last_metrics"]) for task in trained}) > 1
