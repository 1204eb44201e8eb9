"""Drift of the default branch: when, by how much, with which merges; and what is told no more, or not at all."""

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from clearml_ci.core.comparability import Inputs
from clearml_ci.core.gate import Gate, Summary
from clearml_ci.core.merge import Merge
from clearml_ci.decisions import main_drift, main_runs
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.decisions.main_runs import Merged
from clearml_ci.decisions.samples import Run
from tests.unit.drawing import GATE, task

STRICT = replace(GATE, tolerance=0.0)
BEFORE = (0.950, 0.954, 0.948, 0.951, 0.953, 0.947, 0.952, 0.949, 0.951, 0.950)
AFTER = (0.921, 0.917, 0.919, 0.923, 0.918)
SUBJECT = Subject("task", "Digits/train", "")


def run(number: int, value: float | None, *, gate: Gate = STRICT, seed: str = "", **changes: object) -> Run:
    summary = None if value is None else Summary(gate.title, gate.series, value, value, value)
    started = f"2026-11-{1 + number % 28:02}T10:00:00+00:00"
    made = task(**{"id": f"{number}", "commit": commit(number), "started": started, **changes})
    return Run(made, Inputs({"Args/seed": seed} if seed else {}, {}, {}), {gate: summary})


def commit(number: int) -> str:
    return f"{number:040x}"


def merges(number: int) -> list[Merge]:
    """So many merges, newest first, each with a pull request and a head that was trained."""
    return [Merge(f"{place:040x}".replace("0", "f", 1), commit(place), 100 + place) for place in range(number)][::-1]


def series(*values: float | None, gate: Gate = STRICT) -> list[Merged]:
    runs = [run(number, value, gate=gate) for number, value in enumerate(values) if value != MISSING]
    return main_runs.in_merge_order(runs, merges(len(values)))


MISSING = -1.0  # of a merge that was not trained


def findings(merged: Sequence[Merged], gate: Gate = STRICT, reference: tuple[str, ...] = ()) -> list[Finding]:
    return main_drift.findings(merged, [gate], SUBJECT, reference=reference)


def test_findings__loss__says_when_by_how_much_and_with_which_merge() -> None:
    (found,) = findings(series(*BEFORE, *AFTER))
    assert (found.kind, found.severity) == ("drift", "finding")
    assert found.message.startswith("accuracy/validation became worse by 0.0309 (mean 0.9196 of 5 runs since, 0.9505 ")
    assert found.message.endswith("of 10 before) with #110 (f000000000), between 2026-11-10 and 2026-11-11")
    assert found.remedy == "undo or correct that merge"


def test_findings__merges_that_were_not_trained__are_in_the_interval() -> None:
    (found,) = findings(series(*BEFORE, MISSING, MISSING, *AFTER))
    assert "with one of 3 merges: #110 (f000000000), #111 (f000000000), #112 (f000000000), " in found.message
    assert "`audit_bisect`" in found.remedy


def test_findings__small_loss_of_noisy_runs__names_all_merges_that_may_have_brought_it() -> None:
    random_ = random.Random(6)  # noqa: S311
    values = [random_.gauss(0.95 - 0.02 * (number >= 20), 0.01) for number in range(32)]
    (drift,) = main_drift.find(series(*values), STRICT)
    names = [merge.merge.number for merge in drift.merges]
    assert 120 in names and len(names) > 1
    assert drift.gain == pytest.approx(-0.02, abs=0.01)


def test_findings__gain__is_a_note() -> None:
    (found,) = findings(series(*AFTER, *BEFORE))
    assert (found.kind, found.severity) == ("drift_up", "note")
    assert "became better by 0.0309" in found.message


def test_findings__metric_that_is_minimized__is_worse_where_it_rises() -> None:
    loss = Gate("loss", "train", goal="minimize")
    (found,) = findings(series(*AFTER, *BEFORE, gate=loss), loss)
    assert (found.kind, "became worse by 0.0309" in found.message) == ("drift", True)


@pytest.mark.parametrize(
    ("gate", "severity"),
    [
        pytest.param(STRICT, "finding", id="no tolerance"),
        pytest.param(replace(STRICT, tolerance=5.0), "note", id="within the tolerance"),
        pytest.param(replace(STRICT, tolerance=1.0), "finding", id="beyond the tolerance"),
        pytest.param(replace(STRICT, required=False), "note", id="advisory"),
    ],
)
def test_findings__loss__counts_as_its_gate_has_it(gate: Gate, severity: str) -> None:
    (found,) = findings(series(*BEFORE, *AFTER, gate=gate), gate)
    assert (found.kind, found.severity) == ("drift", severity)


def test_findings__loss_that_was_made_good__is_told_no_more_but_its_end_is() -> None:
    (found,) = findings(series(*BEFORE, *AFTER, *BEFORE))
    assert (found.kind, found.severity) == ("drift_up", "note")


def test_findings__loss_before_the_reference_began__is_told_no_more() -> None:
    merged = series(*BEFORE, *AFTER)
    assert findings(merged, reference=("10", "11")) == []
    assert len(findings(merged, reference=("9", "10"))) == 1
    assert len(findings(merged, reference=("older", "10"))) == 1


@pytest.mark.parametrize(
    "values",
    [
        pytest.param((), id="no runs"),
        pytest.param((0.9,), id="one run"),
        pytest.param([0.9] * 30, id="equal values"),
        pytest.param([None] * 30, id="none reported it"),
        pytest.param([float("nan"), float("inf")] * 10, id="no number is finite"),
        pytest.param((*BEFORE, 0.1), id="the newest run collapsed"),
    ],
)
def test_findings__nothing_that_lasts__is_none(values: Sequence[float | None]) -> None:
    assert findings(series(*values)) == []


def test_findings__runs_without_a_number__leave_the_others() -> None:
    (found,) = findings(series(*BEFORE, float("nan"), None, *AFTER))
    assert "with one of 3 merges" in found.message


def test_in_merge_order__runs_that_do_not_count__are_left_out() -> None:
    own = merges(3)
    runs = [
        run(0, 0.9),
        run(1, 0.9, status="failed"),
        run(1, 0.9, id="p", purpose="probe"),
        run(2, 0.9, id="c", copied_from="x"),
        run(2, 0.9, id="merge", commit=own[0].commit, started=""),
        run(3, 0.9, id="n", commit=""),
        run(3, 0.9, id="other", commit="e" * 40),
    ]
    found = main_runs.in_merge_order(runs, own)
    assert [[run.task.id for run in merged.runs] for merged in found] == [["0"], [], ["merge"]]
    assert [merged.began for merged in found] == ["2026-11-01", "", ""]


def test_in_merge_order__experiment_with_another_configuration__is_no_run_of_main() -> None:
    odd = run(0, 0.1, id="odd", started="2026-11-20T10:00:00+00:00")
    odd = replace(odd, inputs=Inputs({"Args/lr": "9"}, {}, {}))
    usual = replace(run(0, 0.9), inputs=Inputs({"Args/lr": "1"}, {}, {}))
    (found,) = main_runs.in_merge_order([odd, usual], merges(1))
    assert [run.task.id for run in found.runs] == ["0"]


def test_in_merge_order__clock_that_jumped__does_not_change_the_order_of_merges() -> None:
    early = run(2, 0.9, started="1970-01-01T00:00:00+00:00")
    found = main_runs.in_merge_order([early, run(0, 0.9), run(1, 0.9)], merges(3))
    assert [merged.runs[0].task.id for merged in found] == ["0", "1", "2"]
    without = main_runs.in_merge_order([run(1, 0.9, started="soon"), run(0, 0.9), run(2, 0.9)], [])
    assert [merged.runs[0].task.id for merged in without] == ["1", "0", "2"]


def test_values__one_seed_trained_again__is_one_draw() -> None:
    again = [run(0, 0.9, seed="1"), run(0, 0.9, seed="1", id="again"), run(0, 0.8, seed="2", id="other")]
    (found,) = main_runs.in_merge_order(again, merges(1))
    assert sorted(main_runs.values(STRICT, found)) == [0.8, 0.9]


@pytest.mark.parametrize(
    ("values", "explained"),
    [
        pytest.param((*BEFORE, 0.947), True, id="low"),
        pytest.param((*BEFORE, 0.930), False, id="credibly lower"),
        pytest.param((0.95, 0.951, 0.944), False, id="too few runs to know"),
        pytest.param((*BEFORE, *AFTER, 0.921), True, id="on the newest level"),
        pytest.param((), False, id="no runs"),
    ],
)
def test_is_explained_by_noise__newest_run__is_compared_with_the_level_before_it(
    values: Sequence[float], *, explained: bool
) -> None:
    assert main_drift.is_explained_by_noise(series(*values), STRICT) is explained


def retrained(values: Sequence[float | None], earlier: Sequence[float | None], gate: Gate = STRICT) -> list[Finding]:
    trainings = [run(50, value, gate=gate, id=f"t{number}", seed=str(number)) for number, value in enumerate(values)]
    return main_drift.of_retraining(trainings, series(*earlier, gate=gate), [gate], SUBJECT)


@pytest.mark.parametrize(
    ("values", "earlier", "expected"),
    [
        pytest.param([0.951, 0.948], BEFORE, [], id="as good"),
        pytest.param([0.946, 0.945], BEFORE[:4], [], id="worse than any of few"),
        pytest.param([0.92, 0.921], BEFORE, ["finding"], id="worse"),
        pytest.param([0.98, 0.981], BEFORE, ["note"], id="better"),
        pytest.param([0.92, 0.921], (*BEFORE, *AFTER), [], id="as the newest level"),
        pytest.param([0.92, None], BEFORE, ["finding"], id="one reported none"),
        pytest.param([None], BEFORE, ["finding"], id="reports it no more"),
        pytest.param([0.9], [None], ["note"], id="none reported it"),
        pytest.param([0.9], [], ["note"], id="no earlier run"),
        pytest.param([0.9], BEFORE[:2], ["note"], id="too few runs"),
    ],
)
def test_of_retraining__new_values__are_compared_with_the_level_of_earlier_runs(
    values: list[float | None], earlier: Sequence[float | None], expected: list[str]
) -> None:
    found = retrained(values, earlier)
    assert [finding.severity for finding in found] == expected
    assert {finding.kind for finding in found} <= {"retrained"}


def test_of_retraining__minimum_that_is_missed__is_a_finding_without_earlier_runs() -> None:
    (found,) = retrained([0.9], [], replace(STRICT, minimum=0.95))
    assert (found.severity, "below the minimum of 0.95" in found.message) == ("finding", True)


def test_of_retraining__loss_that_the_gate_allows__is_a_note() -> None:
    (found,) = retrained([0.92, 0.921], BEFORE, replace(STRICT, tolerance=5.0))
    assert (found.severity, "which the gate allows (5 %)" in found.message) == ("note", True)
