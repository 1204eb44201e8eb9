import pytest

from clearml_ci.core import baseline
from clearml_ci.core.recorded_task import RecordedTask
from tests.unit.drawing import COMMIT, task

TAG = "Best Performance"


@pytest.mark.parametrize(
    ("tagged", "usable"),
    [
        pytest.param(task(), True, id="completed"),
        pytest.param(task(status="published"), True, id="published"),
        pytest.param(task(diff="changed"), True, id="uncommitted-changes"),
        pytest.param(task(archived=True), False, id="archived"),
        pytest.param(task(status="failed"), False, id="failed"),
        pytest.param(task(status="created"), False, id="draft"),
        pytest.param(task(status="in_progress"), False, id="running"),
        pytest.param(task(copied_from="1"), False, id="clone"),
    ],
)
def test_usable__tagged_task__is_one_whose_numbers_count(tagged: RecordedTask, usable: bool) -> None:
    assert baseline.usable(tagged) is usable


@pytest.mark.parametrize(
    ("tagged", "reason"),
    [
        pytest.param([], None, id="none-or-deleted"),
        pytest.param([task()], None, id="there"),
        pytest.param([task(archived=True), task()], None, id="another-is-there"),
        pytest.param([task(status="created")], None, id="draft-of-a-clone"),
        pytest.param([task(copied_from="1")], None, id="clone-of-another-projects"),
        pytest.param(
            [task(copied_from="1"), task(archived=True)], "is archived: restore it", id="clone-of-an-archived"
        ),
        pytest.param([task(status="created", archived=True)], "is archived: restore it", id="archived"),
        pytest.param([task(status="failed")], "did not succeed (status 'failed')", id="failed"),
    ],
)
def test_why_unusable__no_usable_baseline__differs_from_a_first_model(
    tagged: list[RecordedTask], reason: str | None
) -> None:
    found = baseline.why_unusable(tagged, tag=TAG)
    assert (found is None) if reason is None else (found is not None and reason in found)


@pytest.mark.parametrize(
    ("counted", "on_base", "warning"),
    [
        pytest.param(task(), None, "", id="unknown"),
        pytest.param(task(), True, "", id="on-the-base-branch"),
        pytest.param(task(), False, f"ran commit {COMMIT[:10]}, which is not on the base branch", id="not-on-it"),
        pytest.param(task(diff="changed"), True, "has uncommitted changes", id="dirty"),
        pytest.param(task(diff="+Task.init()", purpose="training"), True, "", id="trained-by-a-check"),
    ],
)
def test_warnings__baseline_that_counts__is_named_with_its_flaw(
    counted: RecordedTask, on_base: bool | None, warning: str
) -> None:
    found = baseline.warnings([counted], [counted], tag=TAG, baseline_on_base=on_base)
    assert len(found) == bool(warning)
    assert all(warning in text and counted.id in text for text in found)


def test_warnings__several_tagged__are_counted_without_those_that_do_not_count() -> None:
    tagged = [task(id="1"), task(id="2"), task(id="3", archived=True)]
    (found,) = baseline.warnings(tagged, tagged[:1], tag=TAG, baseline_on_base=None)
    assert found == f"2 tasks carry the tag '{TAG}': the best value of each metric counts."


def test_warnings__clone_that_copied_the_tag__is_named_with_what_to_do() -> None:
    copy = task(id="2", copied_from="1")
    (found,) = baseline.warnings([task(id="1"), copy], [task(id="1")], tag=TAG, baseline_on_base=None)
    assert found == (
        f"train digits (2) does not count: it is a clone of the task 1, whose tag '{TAG}' it copied; "
        "remove the tag from it, or, if it is the new baseline, from that task."
    )
