"""A clone copies the tags of its source: it is no baseline beside it, but a user may still move the tag by hand."""

import pytest

from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import copied_tag, tag_ranking
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamp
from tests.unit.drawing import task

EARLY, PROMOTED, LATE = "2026-01-01T00:00:00", "2026-01-02T00:00:00", "2026-01-03T00:00:00"
STAMP = tag_ranking.stamp_text(Stamp(1767312000.0, RankingPolicy("better")))  # PROMOTED
BY_HAND = task(id="best", created=EARLY)
BY_PROMOTION = task(id="best", created=EARLY, stamp=STAMP)
SIBLING = task(id="best", created=EARLY, stamp=STAMP, parent="a run")


@pytest.mark.parametrize(
    ("best", "other", "copied"),
    [
        pytest.param(BY_HAND, task(id="c", parent="best", created=LATE), True, id="clone"),
        pytest.param(BY_PROMOTION, task(id="c", parent="best", created=LATE), True, id="clone of a promoted one"),
        pytest.param(BY_PROMOTION, task(id="c", parent="best", created=EARLY), False, id="clone from before, by hand"),
        pytest.param(BY_HAND, task(id="c", parent="best", created=LATE, stamp=STAMP), False, id="promoted clone"),
        pytest.param(BY_HAND, task(id="c", parent="best", created=LATE, stamp="edited"), True, id="edited stamp"),
        pytest.param(BY_HAND, task(id="c", created=LATE), False, id="another task"),
        pytest.param(BY_HAND, task(id="c", parent="gone", created=LATE), False, id="clone of one without the tag"),
        pytest.param(SIBLING, task(id="c", parent="a run", created=LATE), True, id="clone of a run's own task"),
        pytest.param(SIBLING, task(id="c", parent="a run", created=EARLY), False, id="sibling from before"),
        pytest.param(
            SIBLING, task(id="c", parent="a run", created=LATE, purpose="training"), False, id="launched, by hand"
        ),
        pytest.param(
            task(id="best", parent="an optimizer", created=EARLY),
            task(id="c", parent="an optimizer", created=LATE),
            False,
            id="two of an optimizer, by hand",
        ),
    ],
)
def test_sources__tagged_beside_the_best__was_copied_or_given(
    best: RecordedTask, other: RecordedTask, copied: bool
) -> None:
    assert copied_tag.sources([best, other], {}) == ({"c": "best"} if copied else {})
    assert copied_tag.sources([other, best], {}) == ({"c": "best"} if copied else {})


@pytest.mark.parametrize(
    ("stamp", "created", "copied"), [("", LATE, True), (STAMP, LATE, True), (STAMP, EARLY, False), (STAMP, "", True)]
)
def test_sources__clone_of_a_baseline_in_another_project__was_copied(stamp: str, created: str, copied: bool) -> None:
    clone = task(id="c", parent="best", created=created)
    assert copied_tag.sources([clone], {"best": stamp}) == ({"c": "best"} if copied else {})
    assert copied_tag.unknown_parents([clone, BY_HAND]) == []
    assert copied_tag.unknown_parents([clone]) == ["best"]
