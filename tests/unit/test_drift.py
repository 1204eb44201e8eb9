from dataclasses import replace

import pytest

from clearml_ci.core.gate import Summary
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import drift
from clearml_ci.decisions.audit_findings import Finding, Tasks, key_of
from tests.unit.drawing import GATE, TASK, task


def kinds(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.kind, finding.severity) for finding in found]


def with_values(*pairs: tuple[RecordedTask, float | None]) -> Tasks:
    return [
        (one, {GATE: value if value is None else Summary("accuracy", "validation", value, value, value)})
        for one, value in pairs
    ]


MAIN = task(id="m" * 32)


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        pytest.param([(MAIN, 0.95)], [], id="as good"),
        pytest.param([(MAIN, 0.90)], [], id="within the tolerance"),
        pytest.param([(MAIN, 0.80)], [("drift", "finding")], id="worse"),
        pytest.param([(MAIN, None)], [("drift", "finding")], id="reports it no more"),
        pytest.param([(MAIN, float("nan"))], [("drift", "finding")], id="is not a number"),
        pytest.param([(MAIN, 0.94), (replace(MAIN, id="o"), 0.1)], [], id="only the newest counts"),
        pytest.param([(replace(MAIN, status="failed"), 0.1), (MAIN, 0.94)], [], id="failed one is passed over"),
        pytest.param([(replace(MAIN, purpose="probe"), 0.1), (MAIN, 0.94)], [], id="probe is passed over"),
        pytest.param([(TASK, 0.92)], [], id="is the best itself"),
        pytest.param([(replace(MAIN, name="other"), 0.1)], [], id="another name"),
        pytest.param([], [], id="nothing ran"),
    ],
)
def test_from_baselines__newest_task__is_compared_with_the_baseline(
    main: list[tuple[RecordedTask, float | None]], expected: list[tuple[str, str]]
) -> None:
    assert kinds(drift.from_baselines(with_values((TASK, 0.92)), with_values(*main), [GATE])) == expected


@pytest.mark.parametrize(("main", "found"), [(0.90, 0), (0.85, 1)], ids=["as good as the best of them", "as the worse"])
def test_from_baselines__several__the_best_of_them_counts(main: float, found: int) -> None:
    bests = with_values((task(id="w" * 32), 0.85), (TASK, 0.92), (task(id="x" * 32, archived=True), 0.99))
    drifted = drift.from_baselines(bests, with_values((MAIN, main)), [GATE])
    assert len(drifted) == found
    assert all("(0.85, baseline 0.92)" in finding.message for finding in drifted)


def test_from_baselines__advisory_gate__is_a_note() -> None:
    advisory = replace(GATE, required=False)
    bests, main = [(TASK, {advisory: summary(0.9)})], [(MAIN, {advisory: summary(0.5)})]
    assert kinds(drift.from_baselines(bests, main, [advisory])) == [("drift", "note")]


def summary(value: float) -> Summary:
    return Summary("accuracy", "validation", value, value, value)


def test_from_baselines__loss_that_noise_explains__is_a_note_but_not_one_below_a_minimum() -> None:
    for gate, severity in ((GATE, "note"), (replace(GATE, minimum=0.9), "finding")):
        bests, main = [(TASK, {gate: summary(0.95)})], [(MAIN, {gate: summary(0.89)})]
        (found,) = drift.from_baselines(bests, main, [gate], explained={(key_of(MAIN), gate)})
        assert (found.kind, found.severity) == ("drift", severity)
        assert ("is noise" in found.message) == (severity == "note")


@pytest.mark.parametrize(
    ("main", "missing"),
    [
        pytest.param([], True, id="nothing ran"),
        pytest.param([(replace(MAIN, status="failed"), 0.9)], True, id="failed"),
        pytest.param([(replace(MAIN, diff="x"), 0.9)], True, id="with uncommitted changes"),
        pytest.param([(replace(MAIN, name="other"), 0.9)], True, id="another name"),
        pytest.param([(MAIN, None)], False, id="ran"),
        pytest.param([(replace(MAIN, status="failed"), None), (replace(MAIN, id="o"), 0.9)], False, id="ran before"),
        pytest.param([(TASK, 0.9)], False, id="is the baseline itself"),
    ],
)
def test_missing_runs__default_branch_without_a_run__is_a_finding(
    main: list[tuple[RecordedTask, float | None]], *, missing: bool
) -> None:
    found = drift.missing_runs([TASK], with_values(*main))
    assert kinds(found) == [("no_run", "finding")] * missing
    assert drift.missing_runs([replace(TASK, archived=True)], with_values(*main)) == []


@pytest.mark.parametrize(
    ("statuses", "failing"),
    [
        pytest.param(["failed", "failed", "failed", "completed"], True, id="three in a row"),
        pytest.param(["in_progress", "failed", "failed", "failed"], True, id="a running one does not count"),
        pytest.param(["failed", "failed", "completed", "failed"], False, id="two in a row"),
        pytest.param(["completed", "failed", "failed", "failed"], False, id="it runs again"),
        pytest.param(["failed", "failed"], False, id="two at all"),
    ],
)
def test_failed_runs__newest_three_trainings_failed__is_a_finding(statuses: list[str], *, failing: bool) -> None:
    main = [(replace(MAIN, id=str(number), status=status), None) for number, status in enumerate(statuses)]
    assert kinds(drift.failed_runs(with_values(*main), watched={key_of(MAIN)})) == [("failing", "finding")] * failing


def test_failed_runs__tasks_of_a_name_without_a_baseline__are_experiments() -> None:
    tried = [(replace(MAIN, id=str(number), status="failed", name="tried out"), None) for number in range(3)]
    assert drift.failed_runs(with_values(*tried), watched={key_of(MAIN)}) == []
    assert kinds(drift.failed_runs(with_values(*tried), watched=None)) == [("failing", "finding")]
