"""Gates that know the noise, as a comment shows them."""

from typing import Any

import pytest

from clearml_ci.core.documents import NoiseDocument
from clearml_ci.report import charts, comment, noise_lines
from clearml_ci.report.charts import History
from tests.unit.drawing import gate_row
from tests.unit.test_comment import document

NOISE: NoiseDocument = {
    "value": 0.945,
    "value_margin": 0.0213,
    "runs": 1,
    "reference": 0.95,
    "reference_margin": 0.0067,
    "reference_runs": 10,
    "difference": -0.005,
    "low": -0.0277,
    "high": 0.0177,
    "limit": 0.94525,
    "visible": 0.03,
    "sd": 0.0075,
    "degrees_of_freedom": 9,
    "words": "Worse by 0.5 % (99 %: -1.9 to 2.9), with 1 run against 10 of main; a loss of 3 % or more would be seen.",
    "better": False,
    "renews": False,
    "caveat": "",
}


def body(*rows: Any, **changes: Any) -> str:
    return comment.comment(document(gates=list(rows), **changes), [])


def table_of(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_comment__known_noise__has_intervals_and_the_number_of_runs() -> None:
    headers, _, row = table_of(body(gate_row(noise=NOISE, limit=0.9312, tolerance=0.5)))
    assert headers == ["", "metric", "this commit", "reference", "difference", "allowed", "runs"]
    assert row[2:] == ["0.945 ± 0.021", "0.9500 ± 0.0067", "-0.005 (-0.028 to 0.018)", "≥ 0.94525 (0.5 %)", "1 vs 10"]


def test_comment__known_noise__has_one_line_in_words() -> None:
    text = body(gate_row(noise={**NOISE, "caveat": "the runs hardly differ"}, note="the tolerance lies below"))
    words = [line.replace("\\", "") for line in text.splitlines()]
    assert NOISE["words"] in words
    assert "The runs hardly differ." in words
    assert "The tolerance lies below." in words


def test_comment__some_gates_without_noise__show_their_baseline_as_before() -> None:
    other = gate_row(metric="loss/train", note="the noise is unknown")
    text = body(gate_row(noise=NOISE), other)
    headers, _, first, second = table_of(text)
    assert headers == ["", "metric", "this commit", "reference", "baseline", "difference", "allowed", "runs"]
    assert (first[3], second[3:5], second[-1]) == ("0.9500 ± 0.0067", ["-", "0.96"], "-")
    assert "**loss/train** · The noise is unknown." in text


def test_comment__gates_with_the_same_note__share_one_line() -> None:
    text = body(*(gate_row(metric=f"loss/{name}", note="the noise is unknown") for name in "abcd"))
    assert "**loss/a, loss/b, loss/c, and 1 more** · The noise is unknown." in text


def test_comment__no_noise__has_the_columns_of_before() -> None:
    headers, _, _ = table_of(body(gate_row()))
    assert headers == ["", "metric", "this commit", "baseline", "difference", "allowed"]


@pytest.mark.parametrize(
    ("value", "margin", "text"),
    [
        (0.95, 0.0123, "0.950 ± 0.012"),
        (1234.5, 20.0, "1234 ± 20"),
        (1e-9, 1e-10, "1e-09 ± 1e-10"),
        (3e9, 2e8, "3e+09 ± 2e+08"),
        (0.95, 0.0, "0.95 ± 0"),
    ],
)
def test_with_margin__numbers__have_the_places_of_the_margin(value: float, margin: float, text: str) -> None:
    assert noise_lines.with_margin(value, margin) == text


def test_history__runs_of_main__end_with_this_commit_within_the_band() -> None:
    runs = History((0.95, 0.96), 0.93, 0.925, 0.975)
    text = charts.history("accuracy/validation", runs)
    drawn = [line.strip() for line in text.splitlines()]
    assert drawn[1:3] == ["xychart-beta", 'title "accuracy/validation"']
    assert drawn[-3:] == ["line [0.95, 0.96, 0.93]", "line [0.925, 0.925, 0.925]", "line [0.975, 0.975, 0.975]"]
    assert 'x-axis "run" 1 --> 3' in drawn
    shown = comment.comment(document(gates=[gate_row(noise=NOISE)]), [], histories={0: runs})
    assert "The last runs of the default branch" in shown
    assert "blue: the last 2 runs of the default branch, then this commit" in shown


def commit_run(number: int, **changes: Any) -> Any:
    task = {"id": f"{number}" * 32, "name": "train", "url": f"https://c/{number}"}
    return {
        "task": task,
        "seed": str(number),
        "values": {"accuracy/validation": 0.9 + number / 100},
        "repeat": number > 1,
        "reason": "",
        **changes,
    }


def test_comment__several_runs_of_the_commit__names_each_with_its_seed_and_value() -> None:
    failed = commit_run(3, values={}, reason="its script failed: ValueError")
    text = body(gate_row("passed"), runs=[commit_run(1, seed=""), commit_run(2), failed])
    assert "<summary>Runs of this commit (3, 2 repeats)</summary>" in text
    metric = gate_row("passed")["metric"]
    rows = [row for row in table_of(text) if row[0].startswith("[")]
    assert [row[0] for row in rows] == [f"[{f'{number}' * 8}](https://c/{number})" for number in (1, 2, 3)]
    assert [row[1] for row in rows] == ["-", "2", "3"]
    assert metric == "accuracy/validation"
    assert [row[2] for row in rows] == ["0.91", "0.92", "-"]
    assert [row[3] for row in rows] == ["", "repeat", "its script failed\\: ValueError"]


def test_comment__one_run_of_the_commit__has_no_table_of_them() -> None:
    assert "Runs of this commit" not in body(gate_row("passed"), runs=[commit_run(1)])
