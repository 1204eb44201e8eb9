"""The figures by which a user chooses `max_regression`: against scipy, and against simulated changes."""

import math
import random
from dataclasses import replace

import pytest
from scipy import stats

from clearml_ci.core import gate as plain
from clearml_ci.core import noise
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import calibration
from clearml_ci.decisions.calibration import Figures
from clearml_ci.decisions.noise_rule import Case, Rule
from clearml_ci.parameters.catalogue import BEST_EVER, NOISE
from tests.unit.test_noise_rule import spread
from tools.noise_simulation import GATE, UNUSED, Repository

ACCURACY = Gate("accuracy", "validation")
MAIN = spread(10, 0.95, 0.01)
PASSED = plain.Judgement(Outcome.PASSED, "")


def figures(
    *gates: Gate, main: list[float] = MAIN, by: str = NOISE, repeats: int = 4, baseline: float | None = 0.96
) -> list[Figures]:
    known = noise.pooled([[value for value in main if math.isfinite(value)]])
    cases = [Case(gate, replace(PASSED, baseline=baseline), [], main, known) for gate in gates]
    return calibration.of_gates(cases, by=by, repeats=repeats, branch="main")


def test_figures__of_ten_runs__are_their_mean_noise_and_number() -> None:
    (found,) = figures(ACCURACY)
    assert (found.runs, found.noise.df) == (10, 9)
    assert found.mean == pytest.approx(0.95)
    assert found.noise.sd == pytest.approx(0.01)


@pytest.mark.parametrize(("position", "runs"), [*enumerate(calibration.RUNS)])
def test_visible__loss_of_this_size__is_red_in_80_percent_of_simulated_changes(position: int, runs: int) -> None:
    random_ = random.Random(runs)  # noqa: S311

    def red() -> bool:
        repository = Repository(lambda: random_.gauss(0, 1), Rule(repeats=runs - 1))
        case = Case(GATE, UNUSED, [], repository.values, repository.noise)
        (found,) = calibration.of_gates([case], by=NOISE, repeats=0, branch="main")
        return repository.check(found.visible[position])[1].outcome == Outcome.REGRESSED

    assert sum(red() for _ in range(1000)) / 1000 == pytest.approx(0.8, abs=0.035)


def test_visible__more_runs__show_smaller_losses_and_ten_gates_only_larger_ones() -> None:
    (alone,) = figures(ACCURACY)
    assert sorted(alone.visible, reverse=True) == list(alone.visible)
    first, *_ = figures(*(replace(ACCURACY, series=f"slice {number}") for number in range(10)))
    assert all(one < many for one, many in zip(alone.visible, first.visible, strict=True))


def test_visible__tolerance_above_the_noise__is_not_undercut() -> None:
    (alone,), (lenient,) = figures(ACCURACY), figures(replace(ACCURACY, tolerance=5))
    assert all(loss > 0.0475 for loss in lenient.visible)
    assert lenient.sensible == alone.sensible


@pytest.mark.parametrize(
    ("repeats", "credible"),
    [
        pytest.param(0, stats.t.ppf(1 - 0.008, 9) * math.sqrt(1 + 1 / 10), id="one run"),
        pytest.param(4, stats.t.ppf(1 - 0.0065, 13) * math.sqrt(1 / 5 + 1 / 10), id="five runs"),
    ],
)
def test_sensible__tolerance__is_the_loss_that_scipy_calls_credible(repeats: int, credible: float) -> None:
    (percent,) = figures(ACCURACY, repeats=repeats)
    (absolute,) = figures(replace(ACCURACY, relative=False), repeats=repeats)
    assert 0 <= float(percent.sensible.removesuffix(" %")) - credible / 0.95 <= 0.1
    assert 0 <= float(absolute.sensible) - credible / 100 <= 0.001


def test_sensible__below_it__a_tolerance_changes_no_visible_loss() -> None:
    (free,) = figures(ACCURACY)
    allowed = float(free.sensible.removesuffix(" %"))
    (below,), (above,) = (figures(replace(ACCURACY, tolerance=allowed + by)) for by in (-0.2, 0.2))
    assert below.visible[2] == free.visible[2] < above.visible[2]


def test_sensible__by_the_best_so_far__is_the_tolerance_that_holds_around_it() -> None:
    (found,) = figures(ACCURACY, by=BEST_EVER)
    expected = (0.96 - 0.95 + stats.t.ppf(0.99, 9) * 0.01 * math.sqrt(1.1)) / 0.96
    assert 0 <= float(found.sensible.removesuffix(" %")) - 100 * expected <= 0.1
    assert f"{found.sensible} would hold" in found.notes[0]


def test_sensible__percent_of_a_mean_of_zero__is_an_absolute_tolerance() -> None:
    (found,) = figures(replace(ACCURACY, allow_zero=True), main=[-0.02, -0.01, 0.0, 0.01, 0.02], baseline=0.0)
    assert found.sensible == "an absolute tolerance"


@pytest.mark.parametrize(
    ("main", "missing"),
    [
        pytest.param([], "5 more runs", id="no runs"),
        pytest.param([0.9], "4 more runs", id="one run"),
        pytest.param([0.9, 0.91, math.nan, 0.92, 0.93], "1 more run", id="a run without a value"),
    ],
)
def test_figures__unknown_noise__are_the_number_of_missing_runs(main: list[float], missing: str) -> None:
    (found,) = figures(ACCURACY, main=main)
    assert (found.visible, found.sensible) == ((), "")
    assert found.notes == (
        f"the noise is unknown until main has {missing}, which `calibrate` makes: the tolerance around the baseline "
        "decides",
    )


def test_notes__tolerance_below_the_noise__name_the_one_that_would_hold() -> None:
    (found,) = figures(replace(ACCURACY, tolerance=1))
    (note,) = found.notes
    below = "the tolerance of 1 % lies below the noise, which decides instead"
    assert note.startswith(f"{below}: {found.sensible} would hold; with `rule: best-ever`, ")
    assert figures(replace(ACCURACY, tolerance=2))[0].notes == figures(replace(ACCURACY, tolerance=9))[0].notes == ()


def test_notes__runs_that_do_not_differ__have_a_caveat() -> None:
    (found,) = figures(replace(ACCURACY, tolerance=99), main=[0.9] * 5)
    assert found.notes == ("the runs hardly differ: the metric's smallest step stands for the noise",)


def test_figures__advisory_gate__sees_what_one_run_shows() -> None:
    (found,) = figures(replace(ACCURACY, required=False))
    assert len(set(found.visible)) == 1


@pytest.mark.parametrize("repeats", [0, 4])
@pytest.mark.parametrize("tolerance", [0.0, 4.0])
def test_alarms__changes_that_do_nothing__are_red_at_most_so_often_in_simulation(
    repeats: int, tolerance: float
) -> None:
    random_ = random.Random(repeats)  # noqa: S311
    red, expected, cases = 0, 0.0, 1500
    for _ in range(cases):
        repository = Repository(lambda: random_.gauss(0, 1), Rule(repeats=repeats))
        gate = replace(GATE, tolerance=tolerance, relative=False)
        case = Case(gate, UNUSED, [], repository.values, repository.noise)
        (found,) = calibration.of_gates([case], by=NOISE, repeats=repeats, branch="main")
        expected += (found.alarms or 0.0) / cases
        red += repository.check(0.0)[1].outcome == Outcome.REGRESSED and tolerance == 0
    assert expected <= 0.01
    assert red / cases <= expected + 0.006
    assert (expected < 0.006) == (tolerance > 0)


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_seen__loss_of_this_size_with_best_ever__is_red_in_80_percent(goal: str) -> None:
    gate = replace(ACCURACY, goal=goal, tolerance=1.0)
    best = 0.96 if goal == "maximize" else 0.94
    (found,) = figures(gate, by=BEST_EVER, baseline=best)
    assert found.seen is not None
    worse = 0.95 - found.seen if goal == "maximize" else 0.95 + found.seen
    distance = (plain.limit(gate, best) - worse) * (1 if goal == "maximize" else -1)
    error = found.noise.standard_error(1, 10)
    assert stats.t.cdf(distance / error, found.noise.df) == pytest.approx(0.8, abs=1e-6)


def test_alarms__unknown_noise__are_unknown() -> None:
    (found,) = figures(ACCURACY, main=[0.95, 0.96])
    assert (found.alarms, found.seen) == (None, None)
