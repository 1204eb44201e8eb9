"""Which tasks were baseline and reference at a moment of the past."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from clearml_ci.decisions import past_state
from clearml_ci.decisions.past_state import Recorded
from clearml_ci.decisions.reference_tags import Carriers, Change
from tests.unit import drawing

NAMES = {"t1": "train", "t2": "train", "t3": "train", "other": "big"}
CHANGE = Change("r1", Carriers(), Carriers(("t1",)), best="Best", name="train", made=True)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=timezone.utc)


MOVES = [
    replace(drawing.MOVE, run=f"r{number}", to=to, previous=previous, at=day(number).isoformat())
    for number, to, previous in ((5, "t2", ("t1",)), (10, "t3", ("t2",)), (12, "other", ()))
]


@pytest.mark.parametrize(
    ("at", "found"),
    [
        pytest.param(day(1), ("t1",), id="before the first move"),
        pytest.param(day(5), ("t2",), id="at a move"),
        pytest.param(day(9), ("t2",), id="between"),
        pytest.param(day(20), ("t3", "other"), id="of two models"),
    ],
)
def test_baselines__at_a_moment__are_those_of_the_moves_before(at: datetime, found: tuple[str, ...]) -> None:
    assert past_state.baselines(MOVES, at, model_of=NAMES) == found


def test_baselines__no_move_or_one_that_was_lost__is_unknown() -> None:
    assert past_state.baselines([], day(1), model_of=NAMES) is None
    assert past_state.baselines([replace(MOVES[0], state="lost")], day(9), model_of=NAMES) is None


def test_without__run_of_the_check_itself__is_not_known_to_it() -> None:
    known = Recorded(tuple(MOVES), ((day(3), CHANGE),))
    assert [move.run for move in known.without("r10").moves] == ["r5", "r12"]
    assert known.without("r1").changes == ()


def test_reference__at_a_moment__is_that_of_the_changes_before() -> None:
    later = replace(CHANGE, run="r2", before=CHANGE.after, after=Carriers(("t1", "t2")))
    known = Recorded((), ((day(3), CHANGE), (day(6), later)))
    found = [past_state.reference(known, day(at), best="Best", name="train") for at in (1, 4, 7)]
    assert found == [Carriers(), Carriers(("t1",)), Carriers(("t1", "t2"))]


def test_reference__change_that_a_rollback_undid__counts_until_then() -> None:
    undone = replace(CHANGE, made=False, undone=True)
    back = replace(drawing.MOVE, run="r9", undoes="r1", at=day(8).isoformat())
    known = Recorded((back,), ((day(3), undone),))
    found = [past_state.reference(known, day(at), best="Best", name="train") for at in (4, 9)]
    assert found == [Carriers(("t1",)), Carriers()]


def test_reference__of_another_model_or_tag__is_unknown() -> None:
    known = Recorded((), ((day(3), CHANGE),))
    assert past_state.reference(known, day(4), best="Best", name="big") is None
    assert past_state.reference(known, day(4), best="Other", name="train") is None
