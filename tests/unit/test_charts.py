import json
import math
import re

import mermaidx
import pytest

from clearml_ci.core.documents import GateRow
from clearml_ci.report import charts
from clearml_ci.report.charts import Curves, Points
from tests.unit.drawing import gate_row


def curve(*values: float, every: float = 1.0) -> Points:
    return tuple((index * every, value) for index, value in enumerate(values))


def lines(text: str) -> list[list[float]]:
    return [
        [float(part) for part in found.split(", ")] for found in re.findall(r"^    line \[(.*)\]$", text, re.MULTILINE)
    ]


def axis(text: str, name: str) -> tuple[float, float]:
    (found,) = re.findall(rf"^    {name}-axis (?:\"iteration\" )?(\S+) --> (\S+)$", text, re.MULTILINE)
    return float(found[0]), float(found[1])


def test_chart__two_curves__are_two_lines_on_one_axis() -> None:
    text = charts.chart("accuracy/validation", Curves(curve(0.5, 0.7, 0.9), curve(0.4, 0.8, 0.85)), goal="maximize")
    assert text.splitlines()[0].startswith('%%{init: {"xyChart": {"width": 700, ')
    assert '"plotColorPalette": "#2f81f7, #db6d28"' in text.splitlines()[0]
    assert text.splitlines()[1:3] == ["xychart-beta", '    title "accuracy/validation"']
    assert lines(text) == [[0.5, 0.7, 0.9], [0.4, 0.8, 0.85]]
    assert axis(text, "x") == (0, 2)


def test_chart__on_a_phone__has_room_for_the_signs_of_its_labels() -> None:
    """Mermaid cuts `-12` to `12` there: the room between label and axis is room for the label as well."""
    style = charts.chart("loss/train", Curves(curve(-12.0, -3.0)), goal="minimize").splitlines()[0]
    assert json.loads(style.removeprefix("%%{init: ").removesuffix("}%%"))["xyChart"]["yAxis"]["labelPadding"] >= 25


@pytest.mark.parametrize(
    ("curves", "drawn"),
    [
        (Curves((), ()), 0),
        (Curves((), curve(1, 2)), 0),
        (Curves(curve(1)), 0),
        (Curves(curve(1), curve(2)), 0),
        (Curves(curve(1), curve(2, 3)), 2),
        (Curves(curve(1, 2)), 1),
        (Curves(curve(1, 2), curve(3)), 2),
    ],
)
def test_chart__too_few_points__draws_nothing(curves: Curves, drawn: int) -> None:
    assert len(lines(charts.chart("a/b", curves, goal="maximize"))) == drawn


def test_chart__baseline_that_ended_earlier__is_flat_from_there_and_the_legend_states_it() -> None:
    curves = Curves(curve(0.1, 0.2, 0.3, 0.4), curve(0.5, 0.6))
    assert lines(charts.chart("a/b", curves, goal="maximize")) == [[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, 0.6, 0.6]]
    assert charts.legend(curves) == (
        "blue: this commit, ends at 0.4; orange: the baseline, ends at 0.6 (flat where a curve has no points)"
    )
    assert charts.legend(Curves(curve(0.1, 0.2))) == "blue: this commit, ends at 0.2"


@pytest.mark.parametrize(("goal", "spike"), [("maximize", 9.0), ("minimize", -9.0)])
@pytest.mark.parametrize("length", [41, 100, 997, 2000])
def test_chart__long_curve__is_thinned_and_keeps_its_best_and_its_end(goal: str, spike: float, length: int) -> None:
    values = [math.sin(index / 50) for index in range(length)]
    values[length // 3] = spike
    (line,) = lines(charts.chart("a/b", Curves(curve(*values)), goal=goal))
    assert 20 < len(line) <= charts.MOST_POINTS
    assert (max(line) if goal == "maximize" else min(line)) == spike
    assert line[-1] == pytest.approx(values[-1], abs=0.02)


@pytest.mark.parametrize("end", [*range(1, 300), 999, 1_000_000, 123_456_789])
def test_chart__any_length__has_as_many_points_as_mermaid_draws(end: int) -> None:
    """Mermaid adds up the step: with 40 points of 0 to 45 it would lose the last part."""
    points = tuple((end * index / 199, float(index)) for index in range(200))
    text = charts.chart("a/b", Curves(points), goal="maximize")
    low, high = axis(text, "x")
    (line,) = lines(text)
    step, at, drawn = (high - low) / (len(line) - 1), low, 0
    while at <= high:
        at, drawn = at + step, drawn + 1
    assert drawn == len(line)


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.0, 0.0),
        (5.0, 5.0),
        (-3.0, -2.0),
        (1e-12, 3e-12),
        (-1e300, 1e300),
        (1e-320, 2e-320),
        (1.7e308, -1.7e308),
        (123456789.0, 123456790.0),
        (0.999991, 0.999999),
        (1e-9, 1.0),
    ],
    ids=str,
)
def test_chart__odd_numbers__are_written_without_an_exponent_inside_the_axis(values: tuple[float, ...]) -> None:
    text = charts.chart("a/b", Curves(curve(*values)), goal="maximize")
    assert not re.search(r"\d[eE]|nan|inf", text.replace("themeVariables", "").split("x-axis")[1])
    low, high = axis(text, "y")
    (line,) = lines(text)
    assert low < min(line) <= max(line) < high
    assert len(text) < 2_000


def test_chart__nearly_equal_values__stay_apart() -> None:
    (line,) = lines(charts.chart("a/b", Curves(curve(0.999991, 0.999999, 0.999995)), goal="maximize"))
    assert line[0] < line[2] < line[1]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("accuracy/validation", "accuracy/validation"),
        ('a"]\nline [1]', "a line 1"),
        ("a`b`c```", "a b c"),
        ("%%{init: {}}%%", "init"),
        ("a;b#c<d>&e", "a b c d e"),
        ("Genauigkeit für Bäume", "Genauigkeit für Bäume"),
        ("mAP@0.5 (val)", "mAP 0.5 val"),
        ("x" * 100, "x" * 59 + "…"),
        ('"[]"', "metric"),
    ],
)
def test_title__anything__is_only_a_name(name: str, title: str) -> None:
    assert charts.title(name) == title


@pytest.mark.parametrize(
    ("name", "values"),
    [
        pytest.param('a"]\nline [1] %%{init}%% `<b>', [float(number) for number in range(46)], id="hostile-title"),
        pytest.param("Bäume/模型", [-1e-300, 1e-300, 2e-300], id="tiny"),
        pytest.param("", [-1.7e308, 1.7e308], id="huge"),
    ],
)
def test_chart__drawn_by_mermaid_itself__has_every_point_of_both_lines(name: str, values: list[float]) -> None:
    text = charts.chart(name, Curves(curve(*values), curve(values[0])), goal="maximize")
    svg = mermaidx.render(text).svg()
    found = [re.findall(rf'<path[^>]* d="(M[^"]*)"[^>]*stroke="{colour}"', svg) for colour in charts.COLORS.values()]
    drawn = [len(re.split("[ML]", path)) - 1 for (path,) in found]
    assert drawn == [len(line) for line in lines(text)]
    assert "NaN" not in svg


def test_history__drawn_by_mermaid_itself__has_all_runs_and_both_edges_of_the_band() -> None:
    runs = charts.History((0.95, 0.96, 0.94), 0.9, 0.93, 0.97)
    svg = mermaidx.render(charts.history('a"]\nline [1] %%{init}%% `<b>', runs)).svg()
    blue, orange = (
        re.findall(rf'<path[^>]* d="(M[^"]*)"[^>]*stroke="{charts.COLORS[name]}"', svg) for name in ("blue", "orange")
    )
    assert [len(re.split("[ML]", path)) - 1 for path in (*blue, *orange)] == [4, 4, 4]
    assert (len(blue), len(orange), "NaN" in svg) == (1, 2, False)


def gates(*drawn: str) -> list[GateRow]:
    """`gates("a regressed", "b passed advisory")`."""
    split = [(*part.split(), "")[:3] for part in drawn]
    return [gate_row(outcome, metric, required=not advisory) for metric, outcome, advisory in split]


@pytest.mark.parametrize(
    ("documents", "indexes"),
    [
        (gates(), []),
        (gates("a/1 passed", "a/2 improved"), [0, 1]),
        (gates("a/1 passed", "a/2 regressed"), [1, 0]),
        (gates("a/1 regressed advisory", "a/2 passed"), [1, 0]),
        (gates("a/1 inconclusive", "a/2 regressed", "a/1 passed"), [1, 0]),
        (gates("Summary/x regressed", "a/1 passed"), [1]),
        (gates(*[f"a/{n} passed" for n in range(9)]), [0, 1, 2, 3]),
    ],
)
def test_gates_with_chart__gates__are_those_that_decided_each_metric_once(
    documents: list[GateRow], indexes: list[int]
) -> None:
    assert charts.gates_with_chart(documents) == indexes


def test_chart__iterations_too_large_to_differ__ends() -> None:
    far = tuple((float(2**62 + index), float(index)) for index in range(50))
    assert isinstance(charts.chart("loss/train", Curves(far, far), goal="minimize"), str)
