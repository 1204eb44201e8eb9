import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from scipy import stats

from clearml_ci.core import noise
from clearml_ci.core.gate import Gate
from clearml_ci.core.gate import Judgement as ByTolerance
from clearml_ci.core.noise import UNKNOWN, Noise
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import noise_rule
from clearml_ci.decisions.noise_rule import Case, Judgement, Rule

TABLE = Path(__file__).parents[2] / "docs" / "gates.md"
HEADER = ["case", "goal", "allowed", "repeats", "this commit", "main", "outcome", "in words"]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TABLE.read_text(encoding="utf-8").split("\n## When the noise is known\n")[1].splitlines()
    if line.count("|") == len(HEADER) + 1 and not line.startswith("|--")
]
BY_TOLERANCE = ByTolerance(Outcome.PASSED, "the plain tolerance decided")


def read_gate(goal: str, allowed: str) -> Gate:
    tolerance = float(allowed.removesuffix(" %"))
    return Gate("accuracy", "validation", goal=goal, tolerance=tolerance, relative=allowed.endswith("%"))


def read_runs(text: str) -> list[float]:
    """`0.95, 0.94`; or `10 of 0.95 ± 0.01`, the number, mean and standard deviation of runs."""
    if drawn := re.fullmatch(r"(\d+) of (\S+) ± (\S+)", text):
        return spread(int(drawn[1]), float(drawn[2]), float(drawn[3]))
    return [float(number) for number in text.split(", ")] if text != "none" else []


def spread(count: int, mean: float, sd: float) -> list[float]:
    """So many different values with exactly this mean and standard deviation."""
    steps = [number - (count - 1) / 2 for number in range(count)]
    unit = math.sqrt(sum(step**2 for step in steps) / (count - 1)) if count > 1 else 1.0
    return [mean + sd * step / unit for step in steps]


MAIN = spread(10, 0.95, 0.01)
REPEATS = Rule(repeats=4)


def judge(gate: Gate, values: list[float], main: list[float] = MAIN, rule: Rule = REPEATS) -> Judgement:
    return noise_rule.judge([Case(gate, BY_TOLERANCE, values, main, noise.pooled([main]))], rule)[0]


ACCURACY = Gate("accuracy", "validation")


def test_table__of_the_documentation__has_every_outcome_and_its_columns() -> None:
    header, *rows = ROWS
    assert header == HEADER
    assert len({row[0] for row in rows}) == len(rows)
    assert {row[6] for row in rows} == {
        "passed", "improved", "regressed", "inconclusive", "train 2 more", "train 1 more", "by tolerance"
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS[1:], ids=lambda row: row[0])
def test_judge__row_of_the_documentations_table__is_what_happens(row: list[str]) -> None:
    _, goal, allowed, repeats, candidate, main, outcome, words = row
    number, _, policy = repeats.partition(", ")
    undecided = Outcome(policy or "passed")
    judged = judge(
        read_gate(goal, allowed), read_runs(candidate), read_runs(main), Rule(int(number), undecided=undecided)
    )
    shown = f"train {judged.more} more" if judged.more else judged.outcome
    assert ("by tolerance" if judged.difference is None and outcome == "by tolerance" else shown) == outcome
    assert (judged.words or judged.reason) == words


def test_judge__one_look__is_the_t_test_of_scipy() -> None:
    values = [0.93, 0.95, 0.92]
    judged = judge(ACCURACY, values, rule=Rule())
    test = stats.ttest_ind(values, MAIN)
    assert judged.difference
    assert judged.difference.probability == pytest.approx(test.pvalue / 2)
    low, high = test.confidence_interval(0.98)
    assert judged.difference.interval == pytest.approx((low, high))


@pytest.mark.parametrize(
    ("values", "main", "reason"),
    [
        pytest.param([0.95], [], "5 more runs", id="no reference"),
        pytest.param([0.95], [0.94], "4 more runs", id="a reference with one run"),
        pytest.param([0.95], [0.94, 0.95, 0.93, 0.94], "1 more run", id="3 degrees of freedom"),
        pytest.param([0.95], [0.94, math.nan, 0.95, 0.93, 0.94], "1 more run", id="NaN is no run"),
    ],
)
def test_judge__unknown_noise__leaves_it_to_the_tolerance_and_counts_the_missing_runs(
    values: list[float], main: list[float], reason: str
) -> None:
    known = noise.pooled([[value for value in main if math.isfinite(value)]])
    (judged,) = noise_rule.judge([Case(ACCURACY, BY_TOLERANCE, values, main, known)], Rule(repeats=4))
    assert (judged.outcome, judged.more, judged.difference) == (Outcome.PASSED, 0, None)
    assert judged.reason == (
        f"the plain tolerance decided; the noise is unknown until main has {reason}, which `calibrate` makes"
    )


def test_judge__reference_with_one_run_and_known_noise__is_compared_with() -> None:
    case = Case(ACCURACY, BY_TOLERANCE, [0.90], [0.95], Noise(0.005, 20))
    (judged,) = noise_rule.judge([case], Rule())
    assert judged.outcome == Outcome.REGRESSED


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        pytest.param([0.95, 0.95, 0.95, math.nan], Outcome.INCONCLUSIVE, id="the others hold"),
        pytest.param([0.96, 0.97, 0.98, math.nan], Outcome.INCONCLUSIVE, id="the others are better"),
        pytest.param([0.90, 0.91, 0.91, math.nan], Outcome.REGRESSED, id="the others are worse"),
    ],
)
def test_judge__nan_in_one_run_of_four__never_holds(values: list[float], outcome: Outcome) -> None:
    judged = judge(ACCURACY, values)
    assert (judged.outcome, judged.more) == (outcome, 0)
    assert ("of 1 of 4 runs" in judged.reason) == (outcome == Outcome.INCONCLUSIVE)


def test_judge__no_run_with_a_value__leaves_it_to_the_tolerance() -> None:
    assert judge(ACCURACY, [math.nan]).reason == BY_TOLERANCE.reason


def test_judge__missed_minimum__is_regressed_however_good() -> None:
    missed = ByTolerance(Outcome.REGRESSED, "below the minimum", absolute=True)
    (judged,) = noise_rule.judge([Case(ACCURACY, missed, [0.99], MAIN, noise.pooled([MAIN]))], Rule(repeats=4))
    assert (judged.outcome, judged.reason, judged.more) == (Outcome.REGRESSED, "below the minimum", 0)


def test_judge__runs_of_one_value__have_the_noise_of_the_last_digit() -> None:
    assert judge(ACCURACY, [0.94], [0.95] * 10, Rule()).outcome == Outcome.PASSED
    assert judge(ACCURACY, [0.90], [0.95] * 10, Rule()).outcome == Outcome.REGRESSED
    assert "smallest step" in judge(ACCURACY, [0.95], [0.95] * 10).caveat


def test_judge__value_far_from_the_others__is_named_in_a_caveat() -> None:
    assert judge(ACCURACY, [0.95]).caveat == ""
    assert judge(ACCURACY, [0.95], [*MAIN, 0.11]).caveat == (
        "one run has 0.11, far from the others: the noise may be smaller without it"
    )


@pytest.mark.parametrize(("gain", "renews", "better"), [(-1, False, False), (2, False, True), (4, True, True)])
def test_judge__gain__moves_the_tag_early_and_the_reference_late(gain: int, renews: bool, better: bool) -> None:
    main = spread(10, 0.9, 0.01)
    judged = judge(ACCURACY, [0.9 + gain * 0.01], main)
    assert (judged.better, judged.renews) == (better, renews)


def test_judge__many_gates__correct_only_the_side_that_fails() -> None:
    known = noise.pooled([MAIN])
    cases = [Case(replace(ACCURACY, series=f"{n}"), BY_TOLERANCE, [0.95], MAIN, known) for n in range(9)]
    suspect = Case(ACCURACY, BY_TOLERANCE, [0.9175], MAIN, known)
    better = Case(ACCURACY, BY_TOLERANCE, [0.9725], MAIN, known)
    assert noise_rule.judge([suspect], Rule())[0].outcome == Outcome.REGRESSED
    assert noise_rule.judge([better], Rule())[0].outcome == Outcome.IMPROVED
    assert noise_rule.judge([suspect, *cases], Rule())[0].outcome == Outcome.PASSED
    assert noise_rule.judge([better, *cases], Rule())[0].outcome == Outcome.IMPROVED


def test_judge__many_slices__are_worse_together_by_benjamini_hochberg() -> None:
    known = noise.pooled([MAIN])
    values = [0.914] * 5 + [0.95] * 5
    cases = [Case(ACCURACY, BY_TOLERANCE, [value], MAIN, known) for value in values]
    slices = [Case(replace(ACCURACY, slice_of="accuracy/*"), BY_TOLERANCE, [value], MAIN, known) for value in values]
    assert noise_rule.judge(cases, Rule())[0].outcome == Outcome.PASSED
    assert noise_rule.judge(slices, Rule())[0].outcome == Outcome.REGRESSED


def test_judge__advisory_gate__asks_for_no_training_and_corrects_no_other() -> None:
    known = noise.pooled([MAIN])
    required = Case(ACCURACY, BY_TOLERANCE, [0.9175], MAIN, known)
    advisory = Case(replace(ACCURACY, required=False), BY_TOLERANCE, [0.935], MAIN, known)
    judged = noise_rule.judge([required, advisory], Rule())
    assert [one.outcome for one in judged] == [Outcome.REGRESSED, Outcome.PASSED]
    assert noise_rule.trainings(noise_rule.judge([advisory], Rule(repeats=4))) == 0


def test_trainings__one_gate_waits__are_its_number_unless_another_failed() -> None:
    waits, failed = Judgement(Outcome.INCONCLUSIVE, "?", more=2), Judgement(Outcome.REGRESSED, "worse")
    assert noise_rule.trainings([waits, replace(waits, more=1)]) == 2
    assert noise_rule.trainings([waits, failed]) == 0
    assert noise_rule.trainings([]) == 0


def test_judge__reference_of_one_run__is_known_after_five_runs_of_the_candidate() -> None:
    case = Case(ACCURACY, BY_TOLERANCE, [0.90, 0.91, 0.90, 0.91, 0.9], [0.95], UNKNOWN)
    assert noise_rule.judge([case], Rule())[0].outcome == Outcome.REGRESSED


@pytest.mark.parametrize("values", [[0.1], [0.95, 0.1], [0.95, 0.95, 0.1], [0.95, 0.95, 0.1, 0.1, 0.95]])
def test_judge__collapsed_runs_among_good_ones__do_not_hide_their_own_loss(values: list[float]) -> None:
    judged = judge(ACCURACY, values, rule=Rule())
    assert judged.outcome == Outcome.REGRESSED
    assert bool(judged.caveat) == (len(values) > 1)


def test_judge__mean_below_the_minimum__is_regressed_although_the_newest_run_is_above_it() -> None:
    gate = replace(ACCURACY, minimum=0.96)
    judged = judge(gate, [0.961, 0.95, 0.955], rule=Rule())
    assert judged.outcome == Outcome.REGRESSED
    assert "with the mean of 3 runs, " in judged.reason
