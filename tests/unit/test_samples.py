import math
from typing import Any

import pytest

from clearml_ci.core.comparability import NO_RULES, Inputs, MatchRules
from clearml_ci.core.gate import Summary
from clearml_ci.core.noise import UNKNOWN
from clearml_ci.decisions import samples
from clearml_ci.decisions.samples import Run
from tests.unit.drawing import GATE, task


def run(number: int, value: float | None = 0.9, *, doubt: str = "", packages: Any = (), **changes: Any) -> Run:
    """A run of the commit; `changes` of the task, and hyperparameters as `Args__lr`."""
    hyperparameters = {"Args/lr": "0.01", "Args/seed": str(number)}
    hyperparameters |= {name.replace("__", "/"): value for name, value in changes.items() if "__" in name}
    fields = {name: value for name, value in changes.items() if "__" not in name}
    summary = None if value is None else Summary("accuracy", "validation", value, value, value)
    return Run(
        task(id=f"{number:032}", **fields),
        Inputs(hyperparameters, dict(packages), fields.pop("inputs", {})),
        {GATE: summary},
        doubt,
    )


def unseeded(number: int, value: float, **changes: Any) -> Run:
    return Run(run(number, **changes).task, Inputs({}, {}, {}), run(number, value).reported)


SUBJECT = run(1)


def test_of_commit__clean_runs_of_other_seeds__all_count() -> None:
    runs = [SUBJECT, run(2), run(3, status="published")]
    assert samples.of_commit(SUBJECT, runs, NO_RULES) == samples.Sample(tuple(runs))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"commit": "b" * 40}, id="another commit"),
        pytest.param({"status": "failed"}, id="failed"),
        pytest.param({"diff": "x"}, id="uncommitted changes"),
        pytest.param({"purpose": "probe"}, id="probe"),
    ],
)
def test_of_commit__no_clean_run_of_it__does_not_count(changes: dict[str, Any]) -> None:
    assert samples.of_commit(SUBJECT, [SUBJECT, run(2, **changes)], NO_RULES) == samples.Sample((SUBJECT,))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        pytest.param(run(2, Args__lr="0.1"), "not comparable: Args/lr is 0.1, was 0.01", id="hyperparameter"),
        pytest.param(run(2, Args__new="1"), "not comparable: Args/new is 1, was not set", id="one more"),
        pytest.param(run(2, doubt="was continued"), "was continued", id="continued"),
        pytest.param(run(2, archived=True), "archived", id="archived"),
        pytest.param(run(2, packages={"torch": "2"}), "not comparable: torch is 2, was not set", id="package"),
    ],
)
def test_of_commit__other_configuration__is_named(other: Run, reason: str) -> None:
    sample = samples.of_commit(SUBJECT, [SUBJECT, other], MatchRules(packages=("torch",)))
    assert sample == samples.Sample((SUBJECT,), ((other, reason),))


def test_of_commit__other_version_of_a_package_without_a_rule__counts() -> None:
    runs = [SUBJECT, run(2, packages={"torch": "2"})]
    assert samples.of_commit(SUBJECT, runs, NO_RULES).runs == tuple(runs)


@pytest.mark.parametrize(
    ("hyperparameter", "name", "seed"),
    [
        ("Args/seed", "", "7"),
        ("General/random_state", "", "7"),
        ("Args/random-seed", "", "7"),
        ("Hydra/trainer.Seed", "", "7"),
        ("General/model/seed", "", "7"),
        ("Args/seeds", "", ""),
        ("Args/seed_file", "", ""),
        ("Args/lottery", "Args/lottery", "7"),
        ("Args/seed", "Args/lottery", ""),
    ],
)
def test_seed_of__hyperparameter_of_this_name__is_recognised(hyperparameter: str, name: str, seed: str) -> None:
    assert samples.seed_of(Run(SUBJECT.task, Inputs({hyperparameter: "7"}, {}, {}), {}), name) == seed


def test_values__runs_of_one_commit_and_seed__are_one_draw() -> None:
    runs = [run(1, 0.8), run(2, 0.9), run(1, 0.9), run(3, 0.9)]
    assert samples.values(GATE, runs) == [pytest.approx(0.85), 0.9, 0.9]


def test_values__same_seed_on_other_commits__counts_each_value_once() -> None:
    runs = [run(1, 0.8), run(1, 0.8, commit="b" * 40), run(1, 0.9, commit="c" * 40)]
    assert samples.values(GATE, runs) == [0.8, 0.9]


def test_values__equal_runs_without_a_seed__are_one_draw() -> None:
    assert samples.values(GATE, [unseeded(1, 0.9), unseeded(2, 0.9), unseeded(3, 0.8)]) == [0.9, 0.8]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, 0.0])
def test_values__run_without_one_that_can_be_trusted__is_nan(value: float | None) -> None:
    first, second = samples.values(GATE, [run(1), run(2, value)])
    assert first == 0.9
    assert math.isnan(second)


def test_noise_of__reference_and_calibrated_commit__counts_each_run_once() -> None:
    reference = [run(1, 0.8), run(2, 0.9), run(3, math.nan)]
    calibrated = [run(number, number / 10, commit="b" * 40) for number in (4, 5, 7)]
    assert samples.noise_of(GATE, [reference, reference, calibrated]).df == 3
    assert samples.noise_of(GATE, [reference[:2], [*reference, calibrated[0]]]).df == 1
    assert samples.noise_of(GATE, []) == UNKNOWN


def test_new_seeds__known_ones__are_left_out() -> None:
    assert samples.new_seeds(["2", "1337", ""], 3) == ["1", "3", "4"]


def test_values__equal_value_of_runs_that_report_otherwise__are_draws_of_their_own() -> None:
    other = Summary("accuracy", "validation", 0.8, 0.1, 0.9)
    unlike = Run(unseeded(2, 0.9).task, Inputs({}, {}, {}), {GATE: other})
    assert samples.values(GATE, [unseeded(1, 0.9), unlike]) == [0.9, 0.9]


def test_values__runs_of_a_commit_that_ignore_their_seeds__are_one_draw() -> None:
    runs = [run(number, 0.9) for number in (1, 2, 3)]
    assert samples.values(GATE, runs) == [0.9]
    assert samples.values(GATE, [*runs, run(4, 0.8)]) == [0.9, 0.9, 0.9, 0.8]


def test_values__seed_in_another_spelling__is_the_same_draw() -> None:
    runs = [run(1, value, Args__seed=seed) for seed, value in (("7", 0.8), ("07", 0.9), ("+7", 0.85), (" 7", 0.85))]
    assert samples.values(GATE, runs) == [pytest.approx(0.85)]


def test_values__two_seeds__are_draws_if_either_differs() -> None:
    runs = [run(number, number / 10, Args__random_state="0") for number in (7, 8, 9)]
    assert samples.values(GATE, runs) == [0.7, 0.8, 0.9]


def test_values__one_too_large_to_square__is_nan() -> None:
    assert math.isnan(samples.values(GATE, [run(1, 1e200)])[0])


def test_of_commit__script_of_another_name__is_left_out_unless_a_check_launched_it() -> None:
    export, training = run(2, name="export"), run(3, name="train 3", purpose="training")
    assert samples.of_commit(SUBJECT, [SUBJECT, export, training], NO_RULES) == samples.Sample((SUBJECT, training))
    assert samples.of_commit(training, [training, export], NO_RULES) == samples.Sample((training,))


@pytest.mark.parametrize("name", ["Args__max_tokens", "Args__tokenizer", "Args__long"])
def test_of_commit__inputs_that_are_shown_alike__differ_all_the_same(name: str) -> None:
    one, other = ("x" * 200 + end for end in "ab")
    subject, unlike = (
        run(number, 0.9, doubt="", packages=(), **{name: text}) for number, text in ((1, one), (2, other))
    )
    sample = samples.of_commit(subject, [subject, unlike], NO_RULES)
    assert (len(sample.runs), len(sample.others)) == (1, 1)
