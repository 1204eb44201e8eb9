import math
from dataclasses import replace

import pytest

from clearml_ci.core.gate import Gate, Summary
from clearml_ci.decisions import tag_ranking
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamp
from tests.unit.drawing import GATE

LOSS = Gate("loss", "validation", goal="minimize")
BETTER, PASSING = RankingPolicy("better", (GATE, LOSS)), RankingPolicy("passing")


def reported(accuracy: float | None = 0.9, loss: float | None = 0.1) -> dict[Gate, Summary | None]:
    values = {GATE: accuracy, LOSS: loss}
    return {g: None if v is None else Summary(g.title, g.series, v, v, v) for g, v in values.items()}


def rank(
    rule: RankingPolicy = BETTER, *, stamp: float | None = None, task: str = "a", **values: float | None
) -> tag_ranking.Rank:
    given = None if stamp is None else Stamp(stamp, PASSING)
    return tag_ranking.rank(rule, reported(**values), stamp=given, task=task)


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (rank(accuracy=0.8, stamp=9), rank(accuracy=0.9, stamp=1)),
        (rank(loss=0.2, stamp=9), rank(loss=0.1, stamp=1)),
        (rank(accuracy=None, stamp=9), rank(accuracy=-5, stamp=1)),
        (rank(accuracy=float("nan"), stamp=9), rank(accuracy=-5, stamp=1)),
        (rank(stamp=1), rank(stamp=2)),
        (rank(task="z"), rank(stamp=-1)),
        (rank(task="a"), rank(task="b")),
        (rank(PASSING, accuracy=0.9, stamp=1), rank(PASSING, accuracy=0.8, stamp=2)),
    ],
    ids=["maximize", "minimize", "missing", "nan", "stamp", "tagged-by-hand", "id", "passing-goes-by-stamps"],
)
def test_rank__two_tagged_tasks__are_ordered(lower: tag_ranking.Rank, higher: tag_ranking.Rank) -> None:
    assert lower < higher


def test_rank__doubtful_zero_of_a_loss__is_not_the_best() -> None:
    diverged = {**reported(), LOSS: Summary("loss", "validation", 0.0, 0.0, 2.0)}
    rule = RankingPolicy("better", (LOSS,))
    of_diverged = tag_ranking.rank(rule, diverged, stamp=Stamp(9, rule), task="z")
    assert of_diverged < tag_ranking.rank(rule, reported(loss=0.5), stamp=Stamp(1, rule), task="a")


@pytest.mark.parametrize(
    ("stamps", "ruling"),
    [
        ({"a": Stamp(1, BETTER), "b": Stamp(2, PASSING), "c": None}, PASSING),
        ({"a": Stamp(2, BETTER), "b": Stamp(1, PASSING)}, BETTER),
        ({"a": Stamp(1, BETTER), "b": Stamp(1, PASSING)}, PASSING),
        ({"a": None}, RankingPolicy("own")),
    ],
    ids=["newest", "newest-first", "same-moment", "all-by-hand"],
)
def test_ruling_policy__stamps_of_several__is_the_newest(stamps: tag_ranking.Stamps, ruling: RankingPolicy) -> None:
    assert tag_ranking.ruling_policy(stamps, default=RankingPolicy("own")) == ruling


@pytest.mark.parametrize(("rule", "highest"), [(BETTER, "good"), (PASSING, "new")], ids=["better", "passing"])
def test_winner__policy__decides_whether_values_or_stamps_count(rule: RankingPolicy, highest: str) -> None:
    stamps = {"good": Stamp(1, BETTER), "new": Stamp(2, PASSING)}
    of_each = {"good": reported(accuracy=0.9), "new": reported(accuracy=0.8)}
    assert tag_ranking.winner(stamps, rule, of_each) == highest


@pytest.mark.parametrize(("highest", "losers"), [("a", ["b", "c"]), ("b", ["a"])], ids=["won", "lost"])
def test_tags_to_remove__of_tagged_tasks__are_all_others_or_the_own(highest: str, losers: list[str]) -> None:
    assert tag_ranking.tags_to_remove(["a", "b", "c"], task="a", winner=highest) == losers


def test_next_stamp__clock_that_is_behind__is_later_nevertheless() -> None:
    present = [Stamp(5.0, BETTER), None, Stamp(100.0, BETTER)]
    assert tag_ranking.next_stamp(PASSING, present, now=50.0).at > 100.0
    assert tag_ranking.next_stamp(PASSING, [], now=50.0) == Stamp(50.0, PASSING)


def test_parse_stamp__what_stamp_text_wrote__is_the_same() -> None:
    stamp = Stamp(1_700_000_000.123456, RankingPolicy("better", (GATE, replace(LOSS, minimum=0.5, value="last"))))
    assert tag_ranking.parse_stamp(tag_ranking.stamp_text(stamp)) == stamp


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "17", "[]", '{"at": 1}', '{"at": "x", "mode": "m", "gates": []}'),
        '{"at": 1, "mode": "m", "gates": 7}',
        tag_ranking.stamp_text(Stamp(math.nan, PASSING)),
    ],
)
def test_parse_stamp__other_text__is_none(text: str) -> None:
    assert tag_ranking.parse_stamp(text) is None
