import json
from typing import Any

import pytest

from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import promotion, reference_tags
from clearml_ci.decisions.reference_tags import Carriers, Change
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamp, stamp_text
from tests.unit.drawing import gate_row, task

FILLED = Change("run", Carriers(("a",)), Carriers(("a", "b")))
RENEWED = Change("run", Carriers(("a",)), Carriers((), ("b",), ("a",)), "a gain")
NOISE: Any = {"better": False, "words": "Worse by 1 %."}


@pytest.mark.parametrize(
    ("change", "present", "left"),
    [
        (FILLED, Carriers(("a", "b", "c")), Carriers(("a", "c"))),
        (RENEWED, Carriers(("c",), ("b",), ("a",)), Carriers(("a",))),
    ],
    ids=["filled", "renewed"],
)
def test_without__change__is_what_was_before(change: Change, present: Carriers, left: Carriers) -> None:
    assert reference_tags.without(change, present) == left


@pytest.mark.parametrize("change", [FILLED, RENEWED])
def test_from_entry__written_change__is_the_same(change: Change) -> None:
    assert reference_tags.from_entry(json.loads(json.dumps(reference_tags.as_entry(change)))) == change


@pytest.mark.parametrize("entry", [None, [], {}, {"run": "r", "before": 1, "after": {}, "renewed": ""}])
def test_from_entry__edited_by_a_user__is_none(entry: object) -> None:
    assert reference_tags.from_entry(entry) is None


def test_in_merge_order__stamps_and_starts__both_count_and_unusable_ones_do_not() -> None:
    stamped = task(id="late", stamp=stamp_text(Stamp(2_000_000_000, RankingPolicy("reference"))))
    early, copied = task(id="early", started="2020-01-01T00:00:00Z"), task(id="copy", copied_from="early")
    assert reference_tags.in_merge_order([stamped, copied, task(id="failed", status="failed"), early]) == [
        early,
        stamped,
    ]


def test_decide__lower_by_the_estimate__keeps_the_tag_with_better_alone() -> None:
    rows = [gate_row(noise=NOISE), gate_row(noise={**NOISE, "better": True}), gate_row(noise=NOISE, required=False)]
    lower = promotion.why_lower("better", rows)
    assert (lower, promotion.why_lower("passing", rows)) == ("accuracy/validation: Worse by 1 %", "")
    stays = promotion.decide("better", outcome=Outcome.PASSED, reason="holds", lower=lower)
    assert (stays.moves, stays.outcome) == (False, Outcome.PASSED)
    assert promotion.decide("better", outcome=Outcome.INCONCLUSIVE, reason="NaN", lower=lower).outcome == "inconclusive"
    assert (promotion.is_by_noise(rows), promotion.is_by_noise([gate_row()])) == (True, False)
