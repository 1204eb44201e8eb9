"""The history of a model: what happened at each merge, as a table and a chart in a terminal."""

from dataclasses import replace

import pytest

from clearml_ci.core.documents import AcceptedDocument, AcceptedEntry
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import history, main_runs
from clearml_ci.decisions.history import History
from clearml_ci.decisions.reference_tags import Carriers, Change
from clearml_ci.report import history_table, terminal_chart
from tests.unit.drawing import MOVE
from tests.unit.test_main_drift import AFTER, BEFORE, STRICT, commit, run

MOVED = replace(MOVE, to="2", commit=commit(2), merge_commit="c" * 40, pull_request=102, at="2026-11-03T12:00:00+00:00")


def of(*values: float | None, **more: object) -> History:
    runs = [run(number, value) for number, value in enumerate(values)]
    given: dict[str, object] = {"carriers": {}, **more}
    return history.of_model("train", main_runs.in_merge_order(runs, []), [STRICT], **given)  # type: ignore[arg-type]


def test_of_model__promotions_tags_and_drift__are_events_of_their_merges() -> None:
    back = replace(MOVED, run="x", action="rollback", to="1", undoes=MOVED.run, at="soon")
    renewed = Change("r", Carriers(("0",)), Carriers(showed=("3",), earlier=("0",)), renewed="a gain")
    found = of(
        *BEFORE, *AFTER, carriers={"baseline": {"1"}, "reference": {"4", "5"}}, moves=[back, MOVED], changes=[renewed]
    )
    events = {place: entry.events for place, entry in enumerate(found.entries) if entry.events}
    assert events == {
        1: ("rolled back to on an unknown day", "baseline"),
        2: ("promoted on 2026-11-03",),
        3: ("reference began anew",),
        4: ("reference",),
        5: ("reference",),
        10: ("accuracy/validation worse by 0.0309",),
    }
    assert found.entries[2].merged.merge == Merge("c" * 40, commit(2), 102)


def test_of_model__accepted_loss_that_was_merged__is_an_event_of_its_merge() -> None:
    loss: AcceptedDocument = {
        "metric": "accuracy/validation",
        "goal": "maximize",
        "which": "best",
        "value": 0.9,
        "by": "ada",
        "reason": "worth it",
        "comment": "https://github.com/o/n/pull/7#issuecomment-1",
        "at": "2026-11-26T10:00:00+00:00",
    }
    entry: AcceptedEntry = {"run": "r", "url": "", "pull_request": 7, "commit": commit(1), "accepted": [loss]}
    elsewhere: AcceptedEntry = {**entry, "commit": "f" * 40}
    found = of(0.95, 0.9, 0.9, accepted=[elsewhere, entry, entry])
    assert [entry.events for entry in found.entries] == [(), ("loss of accuracy/validation accepted by ada",), ()]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="no runs"),
        pytest.param((0.9,), id="one run"),
        pytest.param((None, float("nan"), float("inf")), id="no finite value"),
        pytest.param((0.9,) * 5, id="equal values"),
        pytest.param((0.9, None, 0.8), id="one without a value"),
    ],
)
def test_lines__few_or_odd_values__are_drawn_without_an_error(values: tuple[float | None, ...]) -> None:
    lines = history_table.lines(of(*values))
    assert lines[0].split()[:3] == ["merge", "trained", "runs"]
    assert "accuracy/validation" in lines[-1] or "|" in lines[-1]


def test_lines__many_merges__table_has_the_newest_and_the_chart_all() -> None:
    lines = history_table.lines(of(*[0.9 + number % 7 / 1000 for number in range(2000)]))
    assert lines[0] == "1,960 older merges: in the charts alone"
    assert len([line for line in lines if "2026-11-" in line]) == history_table.MOST_ROWS
    assert "accuracy/validation, 2,000 merges, oldest left (maximize)" in lines
    assert max(map(len, lines)) < 120


def test_lines__drift__draws_both_levels() -> None:
    lines = history_table.lines(of(*BEFORE, *AFTER))
    assert "accuracy/validation worse by 0.0309" in next(line for line in lines if "2026-11-11" in line)
    (top, *_, bottom) = lines[-terminal_chart.HEIGHT :]
    assert top.startswith("0.954 |") and bottom.startswith("0.917 |")
    level = next(line for line in lines[-terminal_chart.HEIGHT :] if "-" in line)
    assert level.index("-") < 20


def test_lines__names_that_control_a_terminal__are_shown_harmless() -> None:
    gate = replace(STRICT, title="a\x1b[31m", series="b\u202e")
    runs = [replace(run(0, 0.9), reported={gate: run(0, 0.9).reported[STRICT]})]
    found = history.of_model("train", main_runs.in_merge_order(runs, []), [gate], carriers={})
    assert not any(sign in line for line in history_table.lines(found) for sign in "\x1b\u202e")


def test_chart__values__are_drawn_from_low_to_high() -> None:
    lines = terminal_chart.lines([1.0, 2.0, 3.0])
    assert len(lines) == terminal_chart.HEIGHT
    assert (lines[0], lines[-1]) == ("3 |  *", "1 |*")
    assert terminal_chart.lines([]) == terminal_chart.lines([None, float("nan")]) == []


def test_chart__more_values_than_columns__draws_their_means() -> None:
    lines = terminal_chart.lines([0.0, 1.0] * terminal_chart.WIDTH)
    assert "".join(lines).count("*") == terminal_chart.WIDTH
