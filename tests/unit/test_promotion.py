from dataclasses import replace
from typing import cast

import pytest

from clearml_ci.core import step_results
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.step_results import StepResult
from clearml_ci.decisions import promotion
from clearml_ci.decisions.promotion import Decision, Move
from tests.unit.drawing import GATE

UNDEFINED = "no required gate defines which model is better"
ADVISORY = Gate("speed", "steps", required=False)
MOVE = Move(
    run="1",
    action="promote",
    state="moved",
    at="2026-01-01T00:00:00+00:00",
    tag="Best",
    project_id="p",
    task_name="train",
    to="new",
    previous=("old",),
    pull_request=7,
    commit="a" * 40,
    merge_commit="b" * 40,
    reason="why",
)


@pytest.mark.parametrize(
    ("mode", "outcome", "decision"),
    [
        ("better", Outcome.IMPROVED, Decision(True, Outcome.PASSED, "why")),
        ("better", Outcome.PASSED, Decision(True, Outcome.PASSED, "why")),
        ("better", Outcome.REGRESSED, Decision(False, Outcome.PASSED, "the tag stays where it is: why")),
        ("better", Outcome.NO_BASELINE, Decision(True, Outcome.PASSED, "it is the first baseline")),
        ("better", Outcome.INCONCLUSIVE, Decision(False, Outcome.INCONCLUSIVE, "the tag stays where it is: why")),
        ("better", Outcome.ERROR, Decision(False, Outcome.ERROR, "the tag stays where it is: why")),
        (
            "better",
            None,
            Decision(
                False, Outcome.PASSED, "the tag stays where it is: no required gate defines which model is better"
            ),
        ),
        ("passing", Outcome.PASSED, Decision(True, Outcome.PASSED, "why")),
        ("passing", Outcome.REGRESSED, Decision(False, Outcome.PASSED, "the tag stays where it is: why")),
        ("passing", None, Decision(True, Outcome.PASSED, "no required gate has to hold")),
        ("on-pass", Outcome.ERROR, Decision(False, Outcome.ERROR, "the tag stays where it is: why")),
    ],
)
def test_decide__comparison_of_now__moves_or_keeps(mode: str, outcome: Outcome | None, decision: Decision) -> None:
    assert promotion.decide(mode, outcome=outcome, reason="why") == decision


@pytest.mark.parametrize(("mode", "tolerance"), [("better", 0.0), ("passing", 3.0), ("on-pass", 3.0)])
def test_gates_of__mode__keeps_the_tolerance_or_not(mode: str, tolerance: float) -> None:
    assert promotion.gates_of(mode, (GATE,)) == (replace(GATE, tolerance=tolerance),)


@pytest.mark.parametrize(("mode", "gates"), [("better", (GATE,)), ("passing", ()), ("rollback", ())])
def test_ranking_policy__mode__goes_by_required_gates_or_by_stamps_alone(mode: str, gates: tuple[Gate, ...]) -> None:
    assert promotion.ranking_policy(mode, (GATE, ADVISORY)).gates == gates


def move(run: str, **changes: object) -> Move:
    return replace(MOVE, run=run, **changes)  # type: ignore[arg-type]


ROLLBACK = {"action": "rollback", "to": "old", "previous": ("new",)}


@pytest.mark.parametrize(
    ("moves", "last"),
    [
        ([], None),
        ([move("2"), move("1")], "2"),
        ([move("2", state="moving"), move("1")], "1"),
        ([move("2", state="lost"), move("1")], "1"),
        ([move("3", undoes="2", **ROLLBACK), move("2"), move("1")], "1"),
        ([move("3", undoes="2", state="moving", **ROLLBACK), move("2")], "2"),
        ([move("4", undoes="1", **ROLLBACK), move("3", undoes="2", **ROLLBACK), move("2"), move("1")], None),
    ],
    ids=["none", "newest", "interrupted", "lost", "undone", "rollback-interrupted", "all-undone"],
)
def test_last_undoable_promotion__ledger__is_the_newest_complete_one(moves: list[Move], last: str | None) -> None:
    found = promotion.last_undoable_promotion(moves)
    assert (found.run if found else None) == last


@pytest.mark.parametrize(("name", "last"), [("", "2"), ("digits", "1"), ("other", None)])
def test_last_undoable_promotion__of_a_name__leaves_those_of_others_alone(name: str, last: str | None) -> None:
    found = promotion.last_undoable_promotion(
        promotion.moves_of_check([move("2", name="letters"), move("1", name="digits")], name)
    )
    assert (found.run if found else None) == last


@pytest.mark.parametrize(
    ("moves", "last"),
    [
        ([move("2", state="moving"), move("1", to="old")], "2"),
        ([move("2", state="settling"), move("1", to="old")], "2"),
        ([move("2", state="lost"), move("1", to="old")], "1"),
        ([move("3", undoes="2", **ROLLBACK), move("2", state="moving"), move("1", to="old")], "1"),
    ],
    ids=["before-it-settled", "settling", "lost", "undone"],
)
def test_last_undoable_promotion__interrupted_with_its_tag__is_the_one(moves: list[Move], last: str) -> None:
    found = promotion.last_undoable_promotion(moves, carrying={"new", "old"})
    assert found is not None
    assert found.run == last


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        (move("2", state="settling", to="x"), True),
        (move("2", state="moving", to="x"), False),
        (move("2", state="moved", to="x"), False),
        (move("2", state="settling"), False),
        (move("1", state="settling", to="x"), False),
        (move("2", state="settling", to="x", tag="another"), False),
    ],
    ids=["settling", "before-that", "done", "the-same-task", "itself", "another-tag"],
)
def test_concurrent_moves__other_move__counts_if_it_may_remove_the_tag(other: Move, waits: bool) -> None:
    assert promotion.concurrent_moves([MOVE, other], MOVE) == ([other] if waits else [])


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ([], None),
        ([move("1", to="other")], None),
        ([move("1", state="moving")], None),
        ([move("2", to="later"), move("1")], "was replaced by a later one"),
        ([move("2", undoes="1", **ROLLBACK), move("1")], "was rolled back"),
        ([move("2", undoes="1", **ROLLBACK), move("1", state="moving")], "was rolled back"),
    ],
    ids=["never", "another", "begun", "replaced", "rolled-back", "rolled-back-after-an-interruption"],
)
def test_already_promoted__promotion_repeated__has_its_reason(moves: list[Move], words: str | None) -> None:
    reason = promotion.already_promoted(moves, "new")
    assert (reason is None) if words is None else (reason is not None and words in reason)


def test_moves_of_tag__moves_of_several__are_those_of_one_project_and_name() -> None:
    moves = [MOVE, replace(MOVE, tag="x"), replace(MOVE, project_id="q"), replace(MOVE, task_name="x")]
    assert promotion.moves_of_tag(moves, tag="Best", project_id="p", task_name="train") == [MOVE]
    assert promotion.moves_of_tag(moves, tag="Best", project_id="", task_name="train") == [MOVE, moves[2]]


@pytest.mark.parametrize(
    ("document", "move"),
    [
        (promotion.as_entry(MOVE), MOVE),
        ({**promotion.as_entry(MOVE), "later": 1, "previous": ["old"]}, MOVE),
        ({key: value for key, value in promotion.as_entry(MOVE).items() if key not in ("undoes", "name")}, MOVE),
        ({"run": "1"}, None),
        ([], None),
        ("moved", None),
    ],
    ids=["own", "newer", "older", "incomplete", "list", "text"],
)
def test_from_entry__data__is_the_move_or_nothing(document: object, move: Move | None) -> None:
    assert promotion.from_entry(document) == move


CHECKED = ("find_task", "remote_run", "compare")


@pytest.mark.parametrize(
    ("planned", "compared", "launched", "doubt", "passes"),
    [
        pytest.param(CHECKED, Outcome.PASSED, Outcome.PASSED, "", True, id="all hold"),
        pytest.param(CHECKED, Outcome.NO_BASELINE, "not_needed", "", True, id="not launched"),
        pytest.param(CHECKED, Outcome.PASSED, Outcome.PASSED, "continued", False, id="doubted"),
        pytest.param(CHECKED, Outcome.REGRESSED, Outcome.PASSED, "", False, id="regressed"),
        pytest.param(CHECKED, None, Outcome.PASSED, "", False, id="not compared"),
        pytest.param(CHECKED, Outcome.PASSED, Outcome.NO_EVIDENCE, "", False, id="does not run"),
        pytest.param(("find_task",), None, None, "", True, id="nothing else planned"),
    ],
)
def test_check_passes__results_of_its_steps__each_planned_one_has_to_hold(
    planned: tuple[str, ...], compared: Outcome | None, launched: str | None, doubt: str, passes: bool
) -> None:
    results = step_results.by_name(
        {
            "find_task": cast(StepResult, {"doubt": doubt}),
            "compare": cast(StepResult, {"outcome": compared}),
            "remote_run": cast(StepResult, {"outcome": launched} if launched else {}),
        }
    )
    assert promotion.check_passes(planned, results) is passes
