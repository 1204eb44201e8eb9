"""Slices: which series a pattern matches, how they are judged, and what a verdict shows of them."""

import json
from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core import gate as gates
from clearml_ci.core import json_arguments, slices
from clearml_ci.core.comparability import Inputs
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate, Judgement, Reported, Summary
from clearml_ci.core.merge import Merge
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import drift, history, promotion, slice_rows
from clearml_ci.decisions.main_runs import Merged
from clearml_ci.decisions.samples import Run
from clearml_ci.report import comment
from tests.unit.drawing import gate_row, task
from tests.unit.test_comment import document

EACH = Gate("accuracy", "*", tolerance=3.0)
AWKWARD = [
    ("accuracy", "cat"),
    ("accuracy", "mAP@[.5:.95]"),
    ("accuracy", "was this?"),
    ("accuracy", "100%|`<b>`"),
    ("accuracy", "two\nlines"),
    ("accuracy", "ein Kätzchen 🐈"),
    ("accuracy", "a/b"),
    ("accuracy", " "),
    ("accuracy", "*"),
    ("accuracy", "." * 300),
]


def reported(gate: Gate, values: dict[str, float | None]) -> Reported:
    found = slices.of_pattern(gate, [(gate.title, name) for name, value in values.items() if value is not None])
    return {gate: None, **{of: summary(of, values[of.series] or 0.0) for of in found}}


def summary(gate: Gate, value: float) -> Summary:
    return Summary(gate.title, gate.series, value, value, value)


def test_of_pattern__awkward_names__each_is_matched_as_it_is_written() -> None:
    found = slices.of_pattern(EACH, [*AWKWARD, ("loss", "cat"), ("Accuracy", "cat")])
    assert [(gate.title, gate.series) for gate in found] == sorted(AWKWARD)
    assert {(gate.slice_of, gate.tolerance, gate.is_pattern) for gate in found} == {("accuracy/*", 3.0, False)}
    for title, series in AWKWARD:
        exact = slices.of_pattern(Gate(f"{title}*", series), AWKWARD)
        assert (title, series) in [(gate.title, gate.series) for gate in exact]
        assert len(exact) == 1 or series == "*"


@pytest.mark.parametrize(
    ("title", "series", "matched"),
    [
        ("per class", "*", ["per class/a", "per class/b"]),
        ("per *", "a", ["per class/a"]),
        ("*", "a", ["a/a", "per class/a"]),
        ("*", "*", ["a/a", "per class/a", "per class/b"]),
        ("p*s", "*b*", ["per class/b"]),
        ("per class*", "?", []),
        ("per.class", "*", []),
        (":monitor:*", "*", [":monitor:gpu/a"]),
        ("per class", "a*a", []),
    ],
)
def test_of_pattern__stars_in_title_and_series__stand_for_any_text(title: str, series: str, matched: list[str]) -> None:
    names = [("per class", "a"), ("per class", "b"), ("a", "a"), (":monitor:gpu", "a")]
    assert [gate.name for gate in slices.of_pattern(Gate(title, series), names)] == matched


def test_name__of_a_slice__is_one_line_that_is_not_too_long() -> None:
    found = slices.of_pattern(EACH, [("accuracy", "a\n::error::b"), ("accuracy", "x" * 9_999)])
    assert found[0].name == "accuracy/a ::error::b"
    assert (len(found[1].name), found[1].series) == (200, "x" * 9_999)


def test_of_pattern__many_stars_and_a_long_name__take_no_time() -> None:
    assert slices.of_pattern(Gate("a*" * 200 + "b", "*"), [("a" * 5_000, "x")]) == []


def test_expanded__gate_of_its_own__is_no_slice_and_an_earlier_pattern_comes_first() -> None:
    own, first, second = Gate("accuracy", "cat", tolerance=9.0), Gate("acc*", "d*"), EACH
    of_first = {slice_: summary(slice_, 0.8) for slice_ in slices.of_pattern(first, [("accuracy", "dog")])}
    known = {**reported(second, {"cat": 0.9, "dog": 0.8, "ant": 0.7}), **of_first}
    found = slices.expanded((own, first, second), [known])
    assert [(gate.name, gate.slice_of) for gate in found] == [
        ("accuracy/cat", ""),
        ("accuracy/dog", "acc*/d*"),
        ("accuracy/ant", "accuracy/*"),
    ]


def test_expanded__series_of_several_tasks__are_all_slices_and_a_pattern_without_any_stays() -> None:
    found = slices.expanded((EACH,), [reported(EACH, {"cat": 0.9}), reported(EACH, {"dog": 0.8})])
    assert [gate.series for gate in found] == ["cat", "dog"]
    assert slices.expanded((EACH,), [{EACH: None}]) == (EACH,)


def test_judge__slice_that_the_candidate_lacks__is_inconclusive_and_a_new_one_holds() -> None:
    (cat,) = slices.of_pattern(EACH, [("accuracy", "cat")])
    lacking = gates.judge(cat, {"mine": None}, {"best": summary(cat, 0.9)})
    assert lacking.outcome == Outcome.INCONCLUSIVE
    assert "no accuracy/cat, a slice of accuracy/* that the default branch has" in lacking.reason
    new = gates.judge(cat, {"mine": summary(cat, 0.9)}, {"best": None})
    assert (new.outcome, new.new) == (Outcome.NO_BASELINE, True)
    missed = gates.judge(replace(cat, minimum=0.95), {"mine": summary(cat, 0.9)}, {"best": None})
    assert missed.outcome == Outcome.REGRESSED
    plain = gates.judge(replace(cat, slice_of=""), {"mine": summary(cat, 0.9)}, {"best": None})
    assert plain.outcome == Outcome.INCONCLUSIVE


def test_decide__slice_that_is_better__does_not_make_the_check_improved() -> None:
    better, same = Judgement(Outcome.IMPROVED, "better"), Judgement(Outcome.PASSED, "as good")
    of = slices.of_pattern(EACH, AWKWARD[:3])
    own = Gate("loss", "train")
    assert gates.decide([(of[0], better), (of[1], same), (of[2], same)]) == (
        Outcome.PASSED,
        "all 3 required gates hold: accuracy/* (3 slices)",
    )
    assert gates.decide([(of[0], better), (own, better)])[0] == Outcome.IMPROVED


def test_gates_text__slices_and_checkpoints__a_job_cannot_name_a_slice() -> None:
    gate = Gate("accuracy", "*", at="last")
    assert json_arguments.gates(json_arguments.gates_text([gate, EACH])) == (gate, EACH)
    assert "slice_of" not in json_arguments.gates_text([EACH])
    with pytest.raises(UsageError, match="unknown key 'slice_of'"):
        json_arguments.gates(json.dumps([{"title": "a", "series": "b", "slice_of": "a/*"}]))


def rows(outcome: str, number: int, *, first: int = 0, **more: Any) -> list[Any]:
    return [
        gate_row(
            outcome,
            f"accuracy/{index}",
            series=f"{index}",
            slice_of="accuracy/*",
            difference=-0.01 * (index % 7),
            **more,
        )
        for index in range(first, first + number)
    ]


def test_shown__two_thousand_slices__are_the_worst_that_fail_and_five_others() -> None:
    every = [
        gate_row(),
        *rows("passed", 1_950),
        *rows("regressed", 30, first=5_000),
        *rows("inconclusive", 20, first=9_000),
    ]
    shown = slice_rows.shown(every)
    assert [row["outcome"] for row in shown] == ["passed", *["regressed"] * 20, *["passed"] * 5]
    assert shown[0]["slice_of"] == ""
    assert {row["difference"] for row in shown[21:]} == {-0.06}
    (of,) = slice_rows.summaries(every, shown)
    assert (of["total"], of["shown"], of["regressed"], of["inconclusive"], of["held"]) == (2000, 25, 30, 20, 1950)
    assert len(json.dumps(shown)) < 30_000


def test_comment__two_thousand_awkward_slices__fits_and_counts_the_rest() -> None:
    hostile = "|`<img>`@team [x](javascript:0)"
    every = [
        gate_row("passed", f"accuracy/{hostile}{n}", series=f"{hostile}{n}", slice_of=f"accuracy/*{hostile}")
        for n in range(2_000)
    ]
    shown = slice_rows.shown(every)
    body = comment.comment(document(gates=shown, slices=slice_rows.summaries(every, shown)), [])
    assert len(body) <= comment.LIMIT
    assert "2,000 slices, none fails; the worst 5 of those that hold are shown, and 1,995 more hold." in body
    assert "<img>" not in body


def test_comment__slices_of_which_some_fail__names_each_number_and_the_new_ones() -> None:
    new = rows("no_baseline", 12, first=100, baseline=None)
    every = [*rows("regressed", 2), *rows("inconclusive", 1, first=2, baseline=0.9), *rows("passed", 42, first=3), *new]
    shown = slice_rows.shown(every)
    body = comment.comment(document(gates=shown, slices=slice_rows.summaries(every, shown)), [])
    assert "57 slices, 2 regressed, 1 inconclusive; the worst 5 of those that hold are shown, and 49 more hold" in body
    assert "new are accuracy/100, accuracy/101," in body
    assert "accuracy/109, and 2 more." in body


def test_gates_of_rows__slices__are_found_again_for_charts() -> None:
    (of,) = slices.of_rows(
        (EACH,), [gate_row(metric="accuracy/a/b", title="accuracy", series="a/b", slice_of="accuracy/*")]
    )
    assert (of.title, of.series, of.tolerance) == ("accuracy", "a/b", 3.0)
    old: Any = {key: value for key, value in gate_row().items() if key not in ("title", "series", "slice_of", "at")}
    assert slices.of_rows((Gate("accuracy", "validation"),), [old]) == (Gate("accuracy", "validation"),)


def test_promotion__better_with_slices__looks_at_their_mean_and_keeps_their_tolerance() -> None:
    assert promotion.gates_of("better", (EACH, Gate("a", "b", tolerance=3.0))) == (EACH, Gate("a", "b"))
    every = rows("passed", 7)
    (lower,) = slice_rows.summaries(every, every)
    assert promotion.why_lower("better", every, [lower]) == "the slices of accuracy/* are lower on average, by 0.03"
    assert promotion.why_lower("better", every, [{**lower, "mean_gain": 0.0}]) == ""
    assert promotion.why_lower("passing", every, [lower]) == ""
    assert promotion.ranking_policy("better", (EACH,)).gates == ()


def test_why_incomplete__two_thousand_series__names_the_limit_of_clearml() -> None:
    assert slices.why_incomplete(1_999) == ""
    assert "keeps no more than 2,000 of a task" in slices.why_incomplete(2_000)


def test_drift__slices_of_main__are_audited_each() -> None:
    best, newest = task(id="b" * 32), task(id="m" * 32)
    values = reported(EACH, {"cat": 0.9, "dog": 0.9})
    worse = reported(EACH, {"cat": 0.9, "dog": 0.7})
    (finding,) = drift.from_baselines([(best, values)], [(newest, worse)], [EACH])
    assert "accuracy/dog is worse than the baseline" in finding.message


def test_history__many_slices__has_the_first_five() -> None:
    values = reported(EACH, {f"c{number}": 0.9 for number in range(40)})
    run = Run(task(), Inputs({}, {}, {}), values)
    found = history.of_model("train", [Merged(Merge("c" * 40), (run,))], [EACH], carriers={})
    assert [gate.series for gate in found.gates] == ["c0", "c1", "c10", "c11", "c12"]
    assert found.entries[0].means == (0.9,) * 5
