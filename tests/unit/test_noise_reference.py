from dataclasses import replace

import pytest

from clearml_ci.core.comparability import NO_RULES, MatchRules
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import reference
from clearml_ci.decisions.noise_rule import Judgement
from clearml_ci.decisions.reference import Reference
from clearml_ci.decisions.samples import Run
from tests.unit.test_samples import run

RUNS = tuple(run(number) for number in range(1, 21))
PASSED = Judgement(Outcome.PASSED, "as good")
LUCKY = Judgement(Outcome.IMPROVED, "better")
GAIN = Judgement(Outcome.IMPROVED, "better beyond its noise", renews=True)
DATA_RULES = MatchRules(hyperparameters=("Args/data",))
OLD, NEW = run(1, Args__data="old"), run(30, Args__data="new")


def merge(before: Reference, *merged: Run, judged: Judgement = PASSED) -> Reference:
    return reference.after(before, merged, [judged], NO_RULES)[0]


def test_after__reference_that_is_not_full__takes_the_merged_runs_in_order() -> None:
    assert merge(Reference(RUNS[:3]), *RUNS[2:5]) == Reference(RUNS[:5])
    assert merge(Reference(), RUNS[0]) == Reference(RUNS[:1])
    assert merge(Reference(RUNS[:9]), *RUNS[9:12]) == Reference(RUNS[:10])


@pytest.mark.parametrize("judged", [PASSED, LUCKY])
def test_after__full_reference__stays_however_lucky_the_merge(judged: Judgement) -> None:
    assert merge(Reference(RUNS[:10]), RUNS[10], judged=judged) == Reference(RUNS[:10])


def test_after__credible_gain__begins_anew_without_the_run_that_showed_it() -> None:
    began = merge(Reference(RUNS[:10]), RUNS[10], judged=GAIN)
    assert began == Reference((), RUNS[10:11], RUNS[:10])
    assert merge(began, RUNS[10]) == began


def test_in_force__after_a_gain__is_the_earlier_reference_until_there_are_four_runs() -> None:
    found = merge(Reference(RUNS[:10]), RUNS[10], judged=GAIN)
    for number in range(11, 14):
        found = merge(found, RUNS[number], judged=GAIN)
        assert found.in_force == RUNS[:10]
    assert merge(found, RUNS[14]).in_force == RUNS[11:15]


def test_after__merge_that_cannot_be_compared__begins_anew_with_it() -> None:
    found = reference.after(Reference((OLD,), earlier=(OLD,)), [NEW], [GAIN], DATA_RULES)
    assert found == (Reference((NEW,)), "not comparable: Args/data is new, was old")


@pytest.mark.parametrize(
    ("judged", "why"),
    [
        pytest.param(PASSED, "", id="nothing happened"),
        pytest.param(LUCKY, "", id="a gain that may be luck"),
        pytest.param(GAIN, "better beyond its noise", id="a credible gain"),
    ],
)
def test_after__merge__names_why_it_begins_anew(judged: Judgement, why: str) -> None:
    assert reference.after(Reference(RUNS[:1]), RUNS[1:2], [judged], NO_RULES)[1] == why


def test_of_tagged__runs_that_are_no_evidence__do_not_count() -> None:
    clone, archived, continued = run(20, status="created"), run(21, archived=True), run(22, doubt="was continued")
    assert reference.of_tagged([clone, *RUNS[:12], archived, continued]) == Reference(RUNS[:10])
    assert reference.of_tagged([clone], [archived], [continued, RUNS[0]]) == Reference(earlier=RUNS[:1])
    assert merge(Reference(RUNS[:1]), replace(RUNS[1], doubt="was continued")) == Reference(RUNS[:1])


def test_after__gain_of_one_gate_and_likely_loss_of_another__does_not_begin_anew() -> None:
    worse = replace(PASSED, may_be_worse=True)
    assert reference.after(Reference(RUNS[:1]), RUNS[1:2], [GAIN, worse], NO_RULES)[1] == ""
