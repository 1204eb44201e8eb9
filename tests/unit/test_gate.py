import math
from dataclasses import replace
from pathlib import Path

import pytest

from clearml_ci.core import gate
from clearml_ci.core.gate import Gate, Judgement, Summary
from clearml_ci.core.outcome import HOLDS, Outcome
from tests.unit.drawing import GATE

TABLE = Path(__file__).parents[2] / "docs" / "gates.md"
HEADER = ["case", "goal", "value", "allowed", "this commit", "baseline", "outcome", "limit"]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.read_text(encoding="utf-8").split("\n## ")[1].splitlines()
    if line.startswith("| ")
]


def read_gate(goal: str, value: str, allowed: str) -> Gate:
    tolerance, *bounds = [part for part in allowed.split(", ") if part != "zero"]
    limits = {name: float(number) for name, number in (bound.split() for bound in bounds)}
    return Gate(
        gate.SINGLE_VALUES if value == "single" else "accuracy",
        "validation",
        goal=goal,
        value="best" if value == "single" else value,
        tolerance=float(tolerance.removesuffix(" %")),
        relative=tolerance.endswith("%"),
        minimum=limits.get("min"),
        maximum=limits.get("max"),
        allow_zero="zero" in allowed,
    )


def read_tasks(text: str) -> dict[str, Summary | None]:
    parts = [] if text == "none" else text.split(" and ")
    return {f"task {number}": read_summary(part) for number, part in enumerate(parts)}


def read_summary(text: str) -> Summary | None:
    if text == "missing":
        return None
    numbers = [float(one) for one in text.replace(",", "").split() if one not in ("to", "last")]
    lowest, highest, last = numbers if len(numbers) == 3 else numbers * 3
    return Summary("accuracy", "validation", last, lowest, highest)


def test_table__of_the_documentation__has_every_outcome_and_its_columns() -> None:
    header, *rows = ROWS
    assert header == HEADER
    assert len({row[0] for row in rows}) == len(rows)
    assert {row[6].removesuffix(", warned") for row in rows} == {
        "improved", "passed", "regressed", "no_baseline", "inconclusive"
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_judge__row_of_the_documentations_table__is_what_happens(row: list[str]) -> None:
    _, goal, value, allowed, candidate, best, outcome, limit = row
    judged = gate.judge(read_gate(goal, value, allowed), read_tasks(candidate), read_tasks(best))
    assert f"{judged.outcome}{', warned' if judged.warning else ''}" == outcome
    assert judged.limit == (None if limit == "-" else pytest.approx(float(limit), abs=1e-9))
    assert judged.reason


def summary(value: float, *, last: float | None = None) -> Summary:
    return Summary("accuracy", "validation", value if last is None else last, value, value)


def judge(value: float | None, baseline: float | None, **changes: object) -> Judgement:
    gate_ = replace(GATE, **changes)  # type: ignore[arg-type]  # the tests name fields of Gate
    best = {} if baseline is None else {"best": summary(baseline)}
    return gate.judge(gate_, {"mine": None if value is None else summary(value)}, best)


@pytest.mark.parametrize(
    ("judged", "reason"),
    [
        (judge(0.9, 0.8), "accuracy/validation is better than the baseline"),
        (judge(0.8, 0.8), "accuracy/validation is within 3 % of the baseline"),
        (judge(0.7, 0.8), "accuracy/validation is worse than the baseline by more than 3 %"),
        (judge(0.7, 0.8, relative=False, tolerance=0.02), "is worse than the baseline by more than 0.02"),
        (judge(0.8, 0.8, tolerance=0.0), "accuracy/validation is as good as the baseline"),
        (judge(0.7, 0.8, tolerance=0.0), "accuracy/validation is worse than the baseline"),
        (judge(0.7, 0.8, minimum=0.9), "accuracy/validation is 0.7, below the minimum of 0.9"),
        (judge(0.7, None, maximum=0.5), "accuracy/validation is 0.7, above the maximum of 0.5"),
        (judge(None, 0.8), "the task of this commit reported no accuracy/validation"),
        (judge(math.nan, 0.8), "accuracy/validation of this commit is nan, which is not a finite number"),
        (judge(0.7, math.inf), "the baseline has no finite accuracy/validation that can be trusted"),
        (judge(0.7, None), "there is no baseline yet"),
    ],
)
def test_judge__any_outcome__has_its_reason(judged: Judgement, reason: str) -> None:
    assert judged.reason.endswith(reason)


def test_judge__several_baselines__names_the_one_that_counts() -> None:
    bests = {"new": summary(0.8), "old": summary(0.9), "empty": None}
    assert gate.judge(GATE, {"mine": summary(0.85)}, bests).baseline_id == "old"
    assert gate.judge(replace(GATE, goal="minimize"), {"mine": summary(0.85)}, bests).baseline_id == "new"


def test_judge__several_runs_of_the_candidate__their_median_counts_and_each_must_have_one() -> None:
    runs = {"a": summary(0.5), "b": summary(0.9), "c": summary(0.8)}
    assert gate.judge(GATE, runs, {"best": summary(0.8)}).value == 0.8
    assert gate.judge(GATE, {**runs, "d": None}, {"best": summary(0.8)}).outcome == "inconclusive"
    assert gate.judge(GATE, {}, {"best": summary(0.8)}).outcome == "inconclusive"


def test_judge__last_that_would_not_hold__is_a_warning_with_both_numbers() -> None:
    judged = gate.judge(GATE, {"mine": Summary("accuracy", "validation", 0.5, 0.1, 0.95)}, {"best": summary(0.9)})
    assert judged.warning == "accuracy/validation was 0.95 at its best, but ended at 0.5, which would not hold"


def test_judge__accepted_small_losses__do_not_add_up() -> None:
    """100, then 98 within 3 %: the tag stays on 100, so 96 is compared with 100 again."""
    bests = {"best": summary(100)}
    assert gate.judge(GATE, {"second": summary(98)}, bests).outcome == "passed"
    assert gate.judge(GATE, {"third": summary(96)}, bests).outcome == "regressed"


@pytest.mark.parametrize(
    ("judged", "outcome"),
    [
        pytest.param(judge(0.9, 0.8), "inconclusive", id="better"),
        pytest.param(judge(0.5, 0.8), "inconclusive", id="worse"),
        pytest.param(judge(0.5, 0.8, minimum=0.7), "regressed", id="below-the-minimum"),
        pytest.param(judge(0.5, None), "no_baseline", id="nothing-compared"),
    ],
)
def test_without_comparison__judgement__keeps_what_holds_without_it(judged: Judgement, outcome: str) -> None:
    voided = gate.without_comparison(judged, "not comparable")
    assert (voided.outcome, voided.value) == (outcome, judged.value)
    assert (voided.reason == "not comparable") == (outcome == "inconclusive")


def judged_gates(required: str, advisory: str = "") -> list[tuple[Gate, Judgement]]:
    """`judged_gates("passed regressed", "passed")`: gates a/1, a/2, and the advisory b/1."""
    return [
        (Gate(title, str(number), required=title == "a"), Judgement(Outcome(outcome), f"{title}/{number} {outcome}"))
        for title, outcomes in (("a", required), ("b", advisory))
        for number, outcome in enumerate(outcomes.split(), start=1)
    ]


@pytest.mark.parametrize(
    ("required", "advisory", "outcome", "reason"),
    [
        ("passed", "", "passed", "a/1 passed"),
        ("passed passed", "", "passed", "all 2 required gates hold: a/1, a/2"),
        ("passed " * 5, "", "passed", "all 5 required gates hold: a/1, a/2, a/3, and 2 more"),
        ("improved", "", "improved", "a/1 improved"),
        ("passed improved", "", "improved", "a/2 improved; the other required gate holds"),
        ("improved passed passed", "", "improved", "a/1 improved; the other 2 required gates hold"),
        ("passed regressed", "", "regressed", "a/2 regressed"),
        ("improved regressed regressed", "", "regressed", "a/2 regressed; a/3 regressed"),
        ("regressed " * 5, "", "regressed", "a/1 regressed; a/2 regressed; a/3 regressed; and 2 more"),
        ("inconclusive regressed", "", "regressed", "a/2 regressed"),
        ("improved inconclusive", "", "inconclusive", "a/2 inconclusive"),
        ("error regressed", "", "error", "a/1 error"),
        ("no_baseline no_baseline", "", "no_baseline", "a/1 no_baseline"),
        ("no_baseline regressed", "", "regressed", "a/2 regressed"),
        ("no_baseline inconclusive", "", "inconclusive", "a/2 inconclusive"),
        ("passed", "regressed inconclusive error", "passed", "a/1 passed"),
        ("passed", "improved", "passed", "a/1 passed"),
        ("", "regressed", "passed", "no gate is required"),
    ],
)
def test_decide__many_gates__the_required_ones_make_one_outcome(
    required: str, advisory: str, outcome: str, reason: str
) -> None:
    decided, reason_ = gate.decide(judged_gates(required, advisory))
    assert decided == outcome
    assert reason_.startswith(reason) if not required else reason_ == reason


def test_as_row__gate__has_what_the_comment_shows() -> None:
    gate_ = replace(GATE, minimum=0.5, required=False)
    best = {"best": summary(0.8)}
    document = gate.as_row(gate_, gate.judge(gate_, {"mine": summary(1.0, last=0.9)}, best))
    assert document == {
        "metric": "accuracy/validation",
        "title": "accuracy",
        "series": "validation",
        "slice_of": "",
        "at": "",
        "goal": "maximize",
        "which": "best",
        "threshold_percent": 3.0,
        "tolerance": 3.0,
        "relative": True,
        "minimum": 0.5,
        "maximum": None,
        "required": False,
        "outcome": "improved",
        "reason": "accuracy/validation is better than the baseline",
        "baseline_task": "best",
        "value": 1.0,
        "baseline": 0.8,
        "difference": pytest.approx(0.2),
        "limit": pytest.approx(0.776),
        "last": 0.9,
        "main": None,
        "noise": None,
        "note": "",
    }
    assert gate.as_row(replace(gate_, relative=False), Judgement(Outcome.ERROR, ""))["threshold_percent"] is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_as_row__not_finite_number__becomes_none(bad: float) -> None:
    document = gate.as_row(GATE, Judgement(Outcome.INCONCLUSIVE, "", value=bad, limit=bad, last=bad))
    assert (document["value"], document["limit"], document["last"]) == (None, None, None)


@pytest.mark.parametrize(
    ("goal", "best", "outcome"),
    [("minimize", 0.4, "inconclusive"), ("maximize", -0.4, "inconclusive"), ("minimize", 0.0, "inconclusive")],
    ids=["loss", "score-below-zero", "against-zero"],
)
def test_judge__zero_throughout__does_not_improve_on_what_is_not(goal: str, best: float, outcome: str) -> None:
    """A run that was NaN from its first step is recorded as 0 throughout."""
    one = Gate("loss", "train", goal=goal)
    zeros, real = Summary("loss", "train", 0.0, 0.0, 0.0), Summary("loss", "train", best, best, best)
    assert gate.judge(one, {"mine": zeros}, {"best": real}).outcome == outcome


def test_judge__minimum_missed_by_a_digit_that_six_do_not_show__is_told_with_it() -> None:
    judged = judge(0.8999999, 0.9, minimum=0.9)
    assert judged.reason == "accuracy/validation is 0.8999999, below the minimum of 0.9"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome not in HOLDS])
def test_decide__outcome_that_does_not_hold__is_never_green(outcome: Outcome) -> None:
    assert gate.decide(judged_gates(f"improved {outcome} passed", ""))[0] == outcome
