"""The numbers of a backtest, and its tables."""

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from clearml_ci.core.noise import Noise
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import backtest
from clearml_ci.decisions.backtest import Backtest, Past, Point, Replayed
from clearml_ci.decisions.calibration import Figures
from clearml_ci.report import backtest_markdown, backtest_plots, backtest_tables, backtest_text
from tests.unit import drawing

AT = datetime(2026, 1, 1, tzinfo=timezone.utc)


def past(number: int, *, merged: bool = False, undone: str = "", commit: str = "") -> Past:
    pull = replace(drawing.CHECK.pull_request, number=number)
    check = replace(drawing.CHECK, pull_request=pull, commit=commit or f"{number:040x}")
    return Past(f"run{number}", AT, check, Outcome.PASSED, merged, undone)


def replayed(number: int, outcome: Outcome | None, why: str = "why", **known: object) -> Replayed:
    merged, undone = bool(known.get("merged") or known.get("undone")), str(known.get("undone") or "")
    point = Point(drawing.GATE, 0.9 + number / 100, 0.93)
    return Replayed(past(number, merged=merged, undone=undone), outcome, why, points=(point,))


def of(*found: Replayed, name: str = "policy of main") -> Backtest:
    return Backtest(name, drawing.CHECK, found, {})


MAIN = of(
    replayed(4, Outcome.PASSED, undone="rolled back"),
    replayed(3, Outcome.REGRESSED, merged=True),
    replayed(2, Outcome.INCONCLUSIVE, undone="reverted by abc"),
    replayed(1, None, "there was no baseline yet"),
)


def test_counts__of_all_ends__are_told_apart() -> None:
    counts = MAIN.counts
    assert (counts.judged, counts.red, counts.green, counts.undecided) == (3, 1, 1, 1)
    assert (counts.merges, counts.red_kept, counts.red_undone) == (3, 1, 0)
    assert (counts.green_undone, counts.undecided_undone, counts.undone) == (1, 1, 2)
    assert MAIN.left_out == {"there was no baseline yet": 1}


@pytest.mark.parametrize(("merges", "reliable"), [(4, False), (5, True)])
def test_is_reliable__merges__are_needed(merges: int, reliable: bool) -> None:
    found = of(*(replayed(number, Outcome.PASSED, merged=True) for number in range(merges)))
    assert found.is_reliable is reliable
    assert ("not reliable" in "\n".join(backtest_text.lines([found]))) is not reliable


def test_differences__of_two_policies__are_those_of_color() -> None:
    other = of(replayed(4, Outcome.IMPROVED), replayed(3, Outcome.PASSED), replayed(1, Outcome.REGRESSED), name="file")
    found = backtest.differences(MAIN, other)
    assert [difference.first.past.run for difference in found] == ["run3", "run1"]
    text = "\n".join(backtest_text.lines([MAIN, other]))
    assert "checks that would be judged differently:" in text
    assert "1 check left out by policy of main: there was no baseline yet." in text


def test_newest_of_commits__several_runs_of_a_commit__is_the_newest_with_an_outcome() -> None:
    first, second = past(1), replace(past(1), run="newer", recorded=None)
    assert [found.run for found in backtest.newest_of_commits([second, first, past(2)], 5)] == ["run1", "run2"]
    assert len(backtest.newest_of_commits([past(1), past(2)], 1)) == 1


def test_as_policy__check_of_the_past__keeps_only_what_it_is_about() -> None:
    rules = replace(drawing.CHECK, gates=(), rule="best-ever", commit="")
    found = backtest.as_policy(rules, past(7).check)
    assert (found.commit, found.pull_request.number, found.rule, found.gates) == (f"{7:040x}", 7, "best-ever", ())


def test_comment__hostile_names__are_plain_text_and_its_marker_is_its_own() -> None:
    hostile = of(replayed(1, Outcome.REGRESSED, "<img src=x> @someone ](x)"), name="a|b`<script>`")
    marker = backtest_markdown.marker("o/n", 7, "--> <b>")
    text = backtest_markdown.comment([MAIN, hostile], marker=marker, commit="c" * 40)
    assert text.startswith("<!-- clearml-ci backtest o/n#7 ")
    assert text.count("-->") == 1
    assert "<script>" not in text
    assert "<img" not in text
    assert "@someone" not in text
    assert "This judges nothing" in text


def test_comment__many_checks__fits_into_one() -> None:
    many = of(*(replayed(number, Outcome.REGRESSED, "r" * 500) for number in range(500)))
    assert len(backtest_markdown.comment([many], marker="<!-- m -->", commit="c" * 40)) <= 65_536


def test_plots__of_two_policies__have_a_line_of_each_limit() -> None:
    plots = backtest_plots.of([MAIN, replace(MAIN, name="file")])
    (chart,) = (plot for plot in plots if plot.title.startswith("4 "))
    assert [line["name"] for line in chart.figure["data"]] == [
        "checked commits",
        "allowed by policy of main",
        "allowed by file",
    ]


def test_gates__slices_of_a_pattern__are_the_one_that_sees_the_least() -> None:
    known = Figures(drawing.GATE, 10, 0.9, Noise(0.01, 9), seen=0.02)
    slices = [
        replace(known, gate=replace(drawing.GATE, series=str(number), slice_of="accuracy/*"), seen=number / 100)
        for number in range(1, 101)
    ]
    rows = backtest_tables.gates([replace(MAIN, figures={"train": [known, *slices]})]).rows
    assert [row[2] for row in rows] == ["accuracy/validation", "accuracy/100, the worst of 100 slices"]
