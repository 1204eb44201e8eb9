"""The checkpoint: the iteration at which the gates of a run are read."""

import json
import math
import random
from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core import checkpoint
from clearml_ci.core import gate as gates
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate, Reported, Summary
from clearml_ci.core.outcome import Outcome
from clearml_ci.parameters import check
from tests.unit.drawing import CHECK

ACCURACY = Gate("accuracy", "validation")
TEST = Gate("accuracy", "test")
LOSS = Gate("loss", "validation", "minimize")
BEST = "best of accuracy/validation"

Curve = dict[float, float]


def run(**curves: Curve) -> tuple[Reported, dict[tuple[str, str], Curve]]:
    """What a run reported, and its curves as the server holds them."""
    named = {"accuracy": ACCURACY, "test": TEST, "loss": LOSS}
    reported = {
        gate: Summary(
            gate.title,
            gate.series,
            curves[name][max(curves[name])],
            min(curves[name].values()),
            max(curves[name].values()),
            points=len(curves[name]),
        )
        if name in curves
        else None
        for name, gate in named.items()
    }
    stored = {
        (named[n].title, named[n].series): {x: checkpoint.single(y) for x, y in c.items()} for n, c in curves.items()
    }
    return reported, stored


def read(at: str, **curves: Curve) -> dict[str, Any]:
    """The values at the checkpoint of each gate, or the reason why there is none."""
    reported, stored = run(**curves)
    resolved = checkpoint.resolved((ACCURACY, TEST, LOSS), at)
    by_resolved = {new: reported[old] for new, old in zip(resolved, (ACCURACY, TEST, LOSS), strict=True)}
    found = checkpoint.read(resolved, by_resolved, stored)
    return {
        gate.name: None if summary is None else summary.missing or gates.value_of(gate, summary)
        for gate, summary in found.items()
    }


def test_read__best_of_a_metric__reads_all_at_its_iteration() -> None:
    found = read(BEST, accuracy={0: 0.5, 1: 0.95, 2: 0.9}, test={0: 0.4, 1: 0.7, 2: 0.8}, loss={0: 2, 1: 1, 2: 0.5})
    assert found == {"accuracy/validation": 0.95, "accuracy/test": 0.7, "loss/validation": 1}


def test_read__best_of_a_metric_whose_lowest_value_is_best__reads_at_that() -> None:
    found = read("best of loss/validation", accuracy={0: 0.5, 1: 0.95, 2: 0.9}, loss={0: 2, 1: 1, 2: 0.5})
    assert found == {"accuracy/validation": 0.9, "accuracy/test": None, "loss/validation": 0.5}


def test_read__last__is_the_last_iteration_of_the_run() -> None:
    found = read("last", accuracy={0: 0.5, 9: 0.9}, test={0: 0.4, 9: 0.7}, loss={0: 2, 8: 1})
    assert (found["accuracy/validation"], found["accuracy/test"]) == (0.9, 0.7)
    assert found["loss/validation"] == "it has no value at iteration 9, the last of its run"


def test_read__two_best_iterations__takes_the_first() -> None:
    assert read(BEST, accuracy={0: 0.5, 1: 0.9, 2: 0.9}, test={0: 1, 1: 2, 2: 3})["accuracy/test"] == 2


def test_read__own__leaves_all_as_it_was() -> None:
    assert read("own", accuracy={0: 0.5, 1: 0.9}, loss={0: 2, 1: 3}) == {
        "accuracy/validation": 0.9, "accuracy/test": None, "loss/validation": 2
    }  # fmt: skip


@pytest.mark.parametrize(
    ("curves", "why"),
    [
        ({"test": {0: 0.4}}, "the run has no curve of accuracy/validation, by which its checkpoint is chosen"),
        ({"accuracy": {0: 0.5, 1: 0.9}, "test": {0: 0.4, 2: 1}}, "it has no value at iteration 1, the best of"),
        ({"accuracy": {0: -0.5, 1: 0.0}, "test": {0: 0.4, 1: 1}}, "is 0, which is also how ClearML records NaN"),
        ({"accuracy": dict.fromkeys(range(6000), 0.5), "test": {0: 1.0}}, "has 6,000 points or more, which ClearML"),
    ],
    ids=["no metric", "no value there", "best is a doubtful zero", "averaged"],
)
def test_read__no_value_at_the_checkpoint__has_its_reason_and_decides_nothing(
    curves: dict[str, Curve], why: str
) -> None:
    found = read(BEST, **curves)["accuracy/test"]
    assert why in found
    lacking = Summary("accuracy", "test", 1, 1, 1, at=math.nan, missing=found)
    sound = replace(lacking, at=0.9, missing="")
    for candidate, baseline in ((lacking, sound), (sound, lacking)):
        judged = gates.judge(TEST, {"mine": candidate}, {"best": baseline})
        assert judged.outcome == Outcome.INCONCLUSIVE
        assert why in judged.reason


def test_read__averaged_curve_of_an_older_server__is_known_by_its_extremes() -> None:
    summary = Summary("accuracy", "validation", 0.5, 0.1, 0.9)
    gate = replace(ACCURACY, at=BEST)
    whole: Curve = {0: 0.1, 1: 0.9, 2: 0.5}
    thinned: Curve = {0: 0.5, 2: 0.5}
    assert "averages" not in read_one(gate, summary, whole).missing
    assert "which ClearML averages" in read_one(gate, summary, thinned).missing


def read_one(gate: Gate, summary: Summary, curve: Curve) -> Summary:
    stored = {("accuracy", "validation"): {x: checkpoint.single(y) for x, y in curve.items()}}
    found = checkpoint.read((gate,), {gate: summary}, stored)[gate]
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(20))
def test_read__numbers_with_few_digits__are_those_that_were_reported(seed: int) -> None:
    """The server's curves hold 32-bit floats; a minimum of 0.95 must hold for 0.95."""
    random_ = random.Random(seed)  # noqa: S311
    scale = 10 ** random_.randint(-5, 5)
    values = [round(random_.random(), random_.randint(1, 6)) * scale + scale for _ in range(9)]
    values = [float(f"{value:.6g}") for value in values]
    found = read(BEST, accuracy={x: 9.0 if x == 4 else 1.0 for x in range(9)}, test=dict(enumerate(values)))
    assert found["accuracy/test"] == values[4]


def test_resolved__checkpoint_of_a_metric_without_a_gate__is_refused() -> None:
    with pytest.raises(UsageError, match=r"at is 'best of f1/test': expected own, last, or .* add a gate for"):
        checkpoint.resolved((ACCURACY,), "best of f1/test")
    with pytest.raises(UsageError, match="expected own"):
        checkpoint.resolved((replace(ACCURACY, at="first"),), "own")
    pattern = Gate("accuracy", "*")
    with pytest.raises(UsageError, match="expected own"):
        checkpoint.resolved((pattern,), "best of accuracy/*")


def test_resolved__gate_of_its_own_and_single_value__keep_theirs() -> None:
    single = Gate("Summary", "size")
    found = checkpoint.resolved((ACCURACY, replace(TEST, at="own"), replace(LOSS, at="last"), single), BEST)
    assert [gate.at for gate in found] == [BEST, "", "last", ""]
    assert checkpoint.names(found) == [("accuracy", "validation"), ("loss", "validation")]


def test_arguments__checkpoint__travels_and_is_checked_again() -> None:
    asked = replace(CHECK, at=BEST, gates=(ACCURACY, replace(TEST, at="last")))
    assert check.from_arguments(asked.to_arguments()) == asked
    assert "at" not in json.loads(asked.to_arguments()["gates"])[0]
    with pytest.raises(UsageError, match="add a gate"):
        check.from_arguments({**asked.to_arguments(), "at": "best of accuracy/train"})
    with pytest.raises(UsageError, match="expected own, last"):
        check.from_arguments({**asked.to_arguments(), "at": "the best"})


def test_judge__checkpoint__is_not_warned_about_as_one_that_ended_worse() -> None:
    ended = Summary("accuracy", "validation", 0.5, 0.1, 0.95, at=0.95)
    assert gates.judge(replace(ACCURACY, at=BEST), {"mine": ended}, {"best": replace(ended, at=0.9)}).warning == ""
