"""The merge of an accepted loss on a ClearML server: the baseline moves, and the reference begins anew."""

from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.clearml_api import run_results
from clearml_ci.decisions import accepted_losses
from clearml_ci.parameters.pull_request import Acceptance, Facts
from tests.gateways.test_promotion import CHECK, OLD_COMMIT, TAG, World, at_the_check, no_credentials, world
from tests.gateways.test_reference_change import EARLIER, GAIN, REFERENCE, of_main, trained
from tests.unit.drawing import gate_row

__all__ = ["no_credentials", "world"]  # fixtures

BY_MAYA = Acceptance("maya", "", "worth it", "https://github.com/o/n/pull/7#issuecomment-1", "2026-11-26T10:00:00")


def checked(world: World, task: str, accepted: float | None, *, rerun: bool = False, **changes: Any) -> str:
    """Leave a check of the commit that judged this task, and took this value for accepted; its page."""
    check = replace(CHECK, action="check", merge_commit="", **changes)
    run = world.run(check, pipeline="pr_check", end="completed", rerun=rerun)
    rows = [] if accepted is None else [gate_row("accepted", value=accepted)]
    verdict = {"candidate": {"id": task}, "gates": rows, "accepted": accepted_losses.grants(BY_MAYA, rows)}
    run_results.store(world.clearml, world.project.step(run.id, "report"), {"verdict": verdict})
    return run.url


@pytest.mark.parametrize("mode", ["better", "passing", "on-pass"])
def test_promote__accepted_loss__moves_the_tag_in_each_mode(world: World, mode: str) -> None:
    world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,))
    new = world.trained(0.6)
    checked(world, new, 0.6)
    result = world.promote(replace(CHECK, promote=mode))
    assert (result["outcome"], result["promotion"]["moved"], world.tagged()) == ("passed", True, [new])
    assert "accepted by maya: worth it" in result["reason"]


@pytest.mark.parametrize(
    ("accepted", "more"),
    [(None, {}), (0.7, {}), (0.6, {"name": "another check"}), (0.6, {"commit": "e" * 40})],
    ids=["not-accepted", "a-better-value", "another-check", "another-commit"],
)
def test_promote__loss_that_was_not_accepted_as_it_is__keeps_the_tag(
    world: World, accepted: float | None, more: dict[str, Any]
) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.6)
    checked(world, new, accepted, **more)
    assert world.promote()["promotion"]["moved"] is False
    assert world.tagged() == [old]


def test_promote__accepted_in_an_edited_rerun__keeps_the_tag(world: World) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.6)
    checked(world, new, None)
    checked(world, new, 0.6, rerun=True, project="some other project")
    world.promote()
    assert world.tagged() == [old]


def test_promote__on_pass__moves_nothing_before_the_merge(world: World) -> None:
    old, new = world.trained(0.8, commit=OLD_COMMIT, tags=(TAG,)), world.trained(0.6)
    facts = Facts(accepted=(replace(BY_MAYA, seen=checked(world, new, 0.6)),))
    result = at_the_check(world, new, replace(CHECK, facts=facts))
    compared = world.client.call("tasks.get_all", name="compare", only_fields=["configuration.result"])["tasks"]
    assert '"outcome": "accepted"' in compared[-1]["configuration"]["result"]["value"]
    assert (result["outcome"], world.tagged()) == ("passed", [old])


def test_promote__accepted_loss__begins_the_reference_anew_and_rollback_restores_it(world: World) -> None:
    reference = of_main(world, REFERENCE)
    worse = trained(world, 0.7)
    checked(world, worse, 0.7)
    result = world.promote()
    assert result["notes"] == [
        "The reference begins anew: the loss of accuracy/validation was accepted by maya: worth it."
    ]
    assert result["reason"].endswith("; the reference begins anew")
    assert (world.tagged(), world.tagged(REFERENCE), world.tagged(GAIN), world.tagged(EARLIER)) == (
        *([worse], [worse]),
        *([], []),
    )
    assert world.promote()["promotion"]["moved"] is False  # once more
    assert world.tagged(REFERENCE) == [worse]
    assert world.rollback()["promotion"]["moved"]
    assert world.tagged(REFERENCE) == sorted(reference)
