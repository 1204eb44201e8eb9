"""Gates that know the noise, from the training to the comment: the demo's scenarios, read back from the servers."""

import pytest

from sandbox import demo
from sandbox.scenarios import catalogue
from sandbox.scenarios.noise import TAG
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
