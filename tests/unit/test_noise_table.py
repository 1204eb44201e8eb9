import math
import re
from dataclasses import replace
from pathlib import Path

from clearml_ci.report import noise_table
from tests.unit.test_calibration import ACCURACY, figures


def test_table__of_two_gates__has_each_figure_in_the_unit_of_its_tolerance() -> None:
    lines = noise_table.lines(
        figures(replace(ACCURACY, tolerance=2), replace(ACCURACY, series="test", relative=False, tolerance=0.02))
    )
    head, percent, absolute, *legend = lines
    assert head.split("  ")[0] == "gate"
    assert percent.split() == [
        *("accuracy/validation", "10", "0.9500", "0.0100", "9"),
        *("4.7", "%", "3.0", "%", "2.7", "%", "2", "%", "1.9", "%"),
    ]
    assert absolute.split() == [
        *("accuracy/test", "10", "0.9500", "0.0100", "9", "0.045", "0.029", "0.026", "0.02", "0.018"),
    ]
    assert len({len(head), len(percent), len(absolute)}) == 1
    assert [line.split(":")[0] for line in legend] == ["seen with 1, 3 or 5 runs of a commit", "max_regression"]


def test_table__unknown_noise__says_how_many_runs_are_missing() -> None:
    lines = noise_table.lines(figures(ACCURACY, main=[0.94, 0.95]))
    assert lines[1].split() == ["accuracy/validation", "2", "0.945", "unknown", "1", "-", "-", "-", "0", "%", "-"]
    assert lines[2] == (
        "accuracy/validation: the noise is unknown until main has 3 more runs, which `calibrate` makes: the tolerance "
        "around the baseline decides"
    )
    assert len(lines) == 3


def test_table__no_run_at_all__has_no_mean() -> None:
    assert noise_table.lines(figures(ACCURACY, main=[math.nan]))[1].split()[1:3] == ["0", "-"]


def test_table__of_the_documentation__is_what_is_printed() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gates.md").read_text(encoding="utf-8")
    _, _, block = page.partition("### The noise of your gates")
    shown = re.search(r"```text\n(.*?)```", block, re.DOTALL)
    lines = noise_table.lines(figures(replace(ACCURACY, tolerance=1), repeats=0))
    assert shown
    assert shown[1].splitlines() == lines[:2]


def test_table__many_slices__has_five_of_a_pattern_and_counts_the_rest() -> None:
    slices = [replace(ACCURACY, series=f"c{number}", slice_of="accuracy/*") for number in range(40)]
    lines = noise_table.lines(figures(ACCURACY, *slices))
    assert [line.split()[0] for line in lines[1:7]] == ["accuracy/validation", *(f"accuracy/c{n}" for n in range(5))]
    assert lines[7] == "accuracy/*: 35 more slices, none with more noise"
