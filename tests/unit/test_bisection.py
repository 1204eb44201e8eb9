"""Which merges are trained next, and which one brought the loss."""

import pytest

from clearml_ci.core.merge import Merge
from clearml_ci.decisions import bisection
from clearml_ci.decisions.audit_findings import Subject
from clearml_ci.decisions.bisection import Cause
from clearml_ci.decisions.change_points import Change
from clearml_ci.decisions.main_drift import Drift
from clearml_ci.decisions.main_runs import Merged
from tests.unit.drawing import GATE
from tests.unit.test_main_drift import AFTER, BEFORE

SUBJECT = Subject("task", "Digits/train", "")


def drift(merges: int) -> Drift:
    made = tuple(Merged(Merge("c" * 40, "e" * 40, number)) for number in range(1, merges + 1))
    return Drift(GATE, Change(10, 10, 10, BEFORE, AFTER), Merged(Merge("b" * 40)), made, lasts=True)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(1, [0, 1]), (3, [0, 1, 2, 3]), (7, [*range(8)]), (8, [0, 2, 4, 6, 8]), (100, [0, 15, 30, 45, 60, 75, 90, 100])],
)
def test_places__first_round__has_both_ends_and_at_most_eight(number: int, expected: list[int]) -> None:
    assert bisection.places(None, number, {}) == expected


def test_places__after_a_round__are_those_between_that_were_not_trained() -> None:
    trained = {0: [0.95], 2: [0.95], 4: [0.92], 6: [0.92]}
    assert bisection.places(Cause(2, 4, (), ()), 6, trained) == [3]
    assert bisection.places(Cause(3, 4, (), ()), 6, {**trained, 3: []}) == []


def test_places__hundred_merges__are_done_in_a_few_rounds() -> None:
    trained: dict[int, list[float]] = {}
    cause, rounds = None, 0
    while todo := bisection.places(cause, 100, trained):
        trained |= {place: [0.95, 0.951, 0.949] if place < 58 else [0.92, 0.921, 0.919] for place in todo}
        cause, rounds = bisection.find(GATE, trained, drift(100)), rounds + 1
    assert cause is not None
    assert (cause.low, cause.high, rounds) == (57, 58, 3)


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        pytest.param({0: [0.95, 0.951], 1: [0.92, 0.921]}, (0, 1), id="the only merge"),
        pytest.param({0: [0.95, 0.951], 1: [], 2: [0.92, 0.921]}, (0, 2), id="one that could not be trained"),
        pytest.param({0: [0.92, 0.921], 1: [0.92, 0.921]}, None, id="as low before"),
        pytest.param({0: [0.92, 0.921], 1: [0.95, 0.951]}, None, id="better"),
        pytest.param({0: [0.95], 1: []}, None, id="nothing to compare with"),
        pytest.param({0: [0.95, 0.95], 1: [0.9495, 0.9495]}, None, id="no credible loss"),
        pytest.param({}, None, id="nothing trained"),
    ],
)
def test_find__new_values__name_the_place_at_which_they_fall(
    trained: dict[int, list[float]], expected: tuple[int, int] | None
) -> None:
    cause = bisection.find(GATE, trained, drift(2))
    assert (None if cause is None else (cause.low, cause.high)) == expected


def test_finding__cause__is_named() -> None:
    found = bisection.finding(drift(3), Cause(1, 2, (0.95, 0.952), (0.92,)), 2, SUBJECT)
    assert found.message == (
        "#2 (cccccccccc) made accuracy/validation worse by 0.031: mean 0.92 of 1 new run, 0.951 of 2 before"
    )
    several = bisection.finding(drift(3), Cause(0, 2, (0.95,), (0.92,)), 2, SUBJECT)
    assert several.message.startswith("one of 2 merges (#1 (cccccccccc), #2 (cccccccccc)) made ")


def test_finding__no_cause__is_a_note() -> None:
    found = bisection.finding(drift(1), None, 3, SUBJECT)
    assert found.severity == "note"
    assert "#1 (cccccccccc) and the merge before, trained again with 3 seeds each, do not differ" in found.message
