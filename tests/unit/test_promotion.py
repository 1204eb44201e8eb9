from dataclasses import replace

import pytest

from clearml_ci import promotion
from clearml_ci.gate import Gate, Summary
from clearml_ci.promotion import Decision, Move
from tests.unit.drawing import GATE

LOSS = Gate("loss", "validation", goal="minimize")
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
        ("better", "improved", Decision(True, "passed", "why")),
        ("better", "passed", Decision(True, "passed", "why")),
        ("better", "regressed", Decision(False, "passed", "the tag stays where it is: why")),
        ("better", "no_baseline", Decision(True, "passed", "it is the first best")),
        ("better", "inconclusive", Decision(False, "inconclusive", "the tag stays where it is: why")),
        ("better", "error", Decision(False, "error", "the tag stays where it is: why")),
        ("better", None, Decision(False, "passed", "the tag stays where it is: no gate says which model is better")),
        ("passing", "passed", Decision(True, "passed", "why")),
        ("passing", "regressed", Decision(False, "passed", "the tag stays where it is: why")),
        ("passing", None, Decision(True, "passed", "no gate has to hold")),
        ("on-pass", "error", Decision(False, "error", "the tag stays where it is: why")),
    ],
)
def test_decide__comparison_of_now__moves_or_keeps(mode: str, outcome: str | None, decision: Decision) -> None:
    assert promotion.decide(mode, outcome=outcome, reason="why") == decision


@pytest.mark.parametrize(("mode", "tolerance"), [("better", 0.0), ("passing", 3.0), ("on-pass", 3.0)])
def test_gates__mode__keeps_the_tolerance_or_not(mode: str, tolerance: float) -> None:
    assert promotion.gates(mode, (GATE,)) == (replace(GATE, tolerance=tolerance),)


def reported(accuracy: float | None = 0.9, loss: float | None = 0.1) -> dict[Gate, Summary | None]:
    values = {GATE: accuracy, LOSS: loss}
    return {g: None if v is None else Summary(g.title, g.series, v, v, v) for g, v in values.items()}


def rank(mode: str = "better", *, stamp: float = 0, task: str = "a", **values: float | None) -> promotion.Rank:
    return promotion.rank(mode, (GATE, LOSS, ADVISORY), reported(**values), stamp=stamp, task=task)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (rank(accuracy=0.8, stamp=9), rank(accuracy=0.9, stamp=1)),
        (rank(loss=0.2, stamp=9), rank(loss=0.1, stamp=1)),
        (rank(accuracy=None, stamp=9), rank(accuracy=-5, stamp=1)),
        (rank(accuracy=float("nan"), stamp=9), rank(accuracy=-5, stamp=1)),
        (rank(stamp=1), rank(stamp=2)),
        (rank(task="a"), rank(task="b")),
        (rank("passing", accuracy=0.9, stamp=1), rank("passing", accuracy=0.8, stamp=2)),
    ],
    ids=["maximize", "minimize", "missing", "nan", "stamp", "id", "passing-goes-by-stamps"],
)
def test_rank__two_tagged_tasks__are_ordered(lower: promotion.Rank, higher: promotion.Rank) -> None:
    assert lower < higher


def test_rank__doubtful_zero_of_a_loss__is_not_the_best() -> None:
    diverged = {**reported(), LOSS: Summary("loss", "validation", 0.0, 0.0, 2.0)}
    assert promotion.rank("better", (LOSS,), diverged, stamp=9, task="z") < promotion.rank(
        "better", (LOSS,), reported(loss=0.5), stamp=1, task="a"
    )


def test_next_stamp__clock_that_is_behind__is_later_all_the_same() -> None:
    assert promotion.next_stamp([5.0, 100.0], now=50.0) > 100.0
    assert promotion.next_stamp([], now=50.0) == 50.0


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
def test_last__ledger__is_the_newest_that_was_done_and_not_undone(moves: list[Move], last: str | None) -> None:
    found = promotion.last(moves)
    assert (found.run if found else None) == last


@pytest.mark.parametrize(("name", "last"), [("", "2"), ("digits", "1"), ("other", None)])
def test_last__of_a_name__leaves_those_of_others_alone(name: str, last: str | None) -> None:
    found = promotion.last([move("2", name="letters"), move("1", name="digits")], name=name)
    assert (found.run if found else None) == last


@pytest.mark.parametrize(
    ("moves", "words"),
    [
        ([], None),
        ([move("1", to="other")], None),
        ([move("1", state="moving")], None),
        ([move("2", to="later"), move("1")], "was replaced by a later one"),
        ([move("2", undoes="1", **ROLLBACK), move("1")], "was rolled back"),
    ],
    ids=["never", "another", "begun", "replaced", "rolled-back"],
)
def test_had_its_turn__promotion_repeated__is_told(moves: list[Move], words: str | None) -> None:
    said = promotion.had_its_turn(moves, "new")
    assert (said is None) if words is None else (said is not None and words in said)


def test_of_tag__moves_of_several__are_those_of_one_project_and_name() -> None:
    moves = [MOVE, replace(MOVE, tag="x"), replace(MOVE, project_id="q"), replace(MOVE, task_name="x")]
    assert promotion.of_tag(moves, tag="Best", project_id="p", task_name="train") == [MOVE]
    assert promotion.of_tag(moves, tag="Best", project_id="", task_name="train") == [MOVE, moves[2]]


@pytest.mark.parametrize(
    ("document", "move"),
    [
        (promotion.to_document(MOVE), MOVE),
        ({**promotion.to_document(MOVE), "later": 1, "previous": ["old"]}, MOVE),
        ({key: value for key, value in promotion.to_document(MOVE).items() if key not in ("undoes", "name")}, MOVE),
        ({"run": "1"}, None),
        ([], None),
        ("moved", None),
    ],
    ids=["own", "newer", "older", "incomplete", "list", "text"],
)
def test_from_document__data__is_the_move_or_nothing(document: object, move: Move | None) -> None:
    assert promotion.from_document(document) == move
