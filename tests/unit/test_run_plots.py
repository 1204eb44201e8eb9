"""The plots of a run's page, and the end of its console, from verdicts with texts that others have written."""

import json
import math
from typing import Any

import pytest

from clearml_ci.core.outcome import Outcome
from clearml_ci.core.plot import Plot
from clearml_ci.decisions import verdict
from clearml_ci.report import charts, console_text, figures, plots
from clearml_ci.report.charts import Curves, History
from clearml_ci.report.plots import Charts
from clearml_ci.report.verdict_facts import Pages
from tests.unit.drawing import AUDIT, CHECK, RUN, TASK, gate_row, steps
from tests.unit.test_noise_report import NOISE

PAGES = Pages("https://github.com/owner/name/pull/7", "https://github.com/owner/name/pull/7#issuecomment-1")
RISING = tuple((float(step), step / 10) for step in range(10))
FLAT = tuple((float(step), 0.5) for step in range(10))
EVIL = [
    '<a href="javascript:alert(1)">accuracy</a>/x',
    "</script><script>alert(1)</script>/x",
    "<b>bold</b>/<br>",
    "ac\u202ecuracy/\u200bvalidation",
    "&lt;b&gt;/{{7*7}}",
    "a\nb/\tc",
    "/",
    "é" * 3_000,
]


def document(*gates: Any, **changes: Any) -> Any:
    """The verdict of a check with a base branch and these gates."""
    made = verdict.for_check(CHECK, run=RUN, steps=steps("regressed"))
    base = {**made["candidate"], "id": "m" * 32, "name": "of main"} if made["candidate"] else None
    return {**made, "gates": [*gates] or made["gates"], "main_baseline": base, **changes}


def drawn(found: Any, **more: Any) -> list[Plot]:
    shown = plots.of_verdict(found, PAGES, Charts(**more))
    json.dumps([plot.figure for plot in shown], allow_nan=False)
    return shown


def titles(shown: list[Plot]) -> list[str]:
    return [plot.title for plot in shown]


def rows(plot: Plot) -> list[tuple[str, ...]]:
    return list(zip(*plot.figure["data"][0]["cells"]["values"], strict=True))


def facts_of(plot: Plot) -> dict[str, str]:
    """The texts of a table of facts, by their labels."""
    pairs = [tuple(plot.figure["data"][0]["header"]["values"]), *rows(plot)]
    return {label.removeprefix("<b>").removesuffix("</b>"): text for label, text in pairs}


def texts(value: Any) -> str:
    """All texts of a figure."""
    return json.dumps(value, ensure_ascii=False)


def test_of_verdict__check__begins_with_the_verdict_and_its_links() -> None:
    first, gates = drawn(document())
    facts = facts_of(first)
    assert (first.title, gates.title) == ("1 Verdict", "2 Gates")
    assert facts["Verdict"] == "❌ ClearML CI: regressed · a gate fails"
    assert facts["Reason"] == "Why."
    assert facts["Pull request"] == f'<a href="{PAGES.pull_request}">owner/name#7</a>'
    assert facts["Candidate"] == f'<a href="{TASK.url}">train digits (Digits)</a>'
    assert f'<a href="{PAGES.comment}">' in facts["Comment"]


def test_of_verdict__gates__has_value_limit_outcome_and_reason_of_each() -> None:
    _, gates = drawn(document(gate_row("passed", "loss/train"), gate_row("regressed")))
    assert gates.figure["data"][0]["header"]["values"][1:] == [
        *("metric", "this commit", "baseline", "base branch", "difference", "allowed", "reason")
    ]
    worst, other = rows(gates)
    assert worst == ("❌", "accuracy/validation ↑", "0.95", "0.96", "-", "-0.01", "≥ 0.9312 (3 %)", "why")
    assert other[:2] == ("✅", "loss/train ↑")


@pytest.mark.parametrize("missing", ["value", "baseline", "difference", "limit"])
def test_of_verdict__missing_number__is_a_dash(missing: str) -> None:
    changes: dict[str, Any] = {missing: None}
    _, gates = drawn(document(gate_row(**changes)))
    assert "-" in rows(gates)[0]


def test_of_verdict__no_candidate_and_no_baseline__is_the_verdict_alone() -> None:
    bare = document(candidate=None, main_baseline=None, gates=[], outcome=Outcome.NO_EVIDENCE)
    assert titles(drawn(bare)) == ["1 Verdict"]


def test_of_verdict__curves__are_those_of_candidate_baseline_main_and_the_limit() -> None:
    gate = gate_row(baseline_task="b" * 32)
    shown = drawn(
        document(gate), curves={0: Curves(RISING, FLAT, FLAT)}, histories={0: History((0.5, 0.6), 0.4, 0.3, 0.7)}
    )
    assert titles(shown)[2:] == ["3 accuracy/validation", "4 History accuracy/validation"]
    curves, history = ({line["name"]: line["y"] for line in plot.figure["data"]} for plot in shown[2:])
    assert list(curves) == ["this commit", "baseline", "base branch", "allowed"]
    assert (curves["this commit"][-1], curves["allowed"]) == (0.9, [0.9312, 0.9312])
    assert (history["default branch"], history["this commit"]) == ([0.5, 0.6], [0.4])


def test_of_verdict__baseline_that_is_the_base_branchs_task__is_one_line() -> None:
    gate = gate_row(baseline_task="m" * 32)
    (curves,) = drawn(document(gate), curves={0: Curves(RISING, FLAT, FLAT)})[2:]
    assert [line["name"] for line in curves.figure["data"]] == ["this commit", "baseline", "allowed"]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_of_verdict__point_that_is_not_finite__is_left_out(odd: float) -> None:
    curve = Curves(((0.0, 1.0), (1.0, odd), (2.0, 3.0)), ((odd, 1.0),))
    shown = drawn(document(gate_row(limit=None)), curves={0: curve}, histories={0: History((odd, 1.0), odd, odd, 1.0)})
    assert shown[2].figure["data"][0]["y"] == [1.0, 3.0]


def test_of_verdict__no_points__is_no_plot() -> None:
    assert titles(drawn(document(), curves={0: Curves(())})) == ["1 Verdict", "2 Gates"]


def test_of_verdict__long_curve__has_its_ends_and_no_more_points_than_allowed() -> None:
    long = tuple((float(step), float(step)) for step in range(20_000))
    line = drawn(document(), curves={0: Curves(long)})[2].figure["data"][0]
    assert len(line["x"]) == figures.MOST_POINTS
    assert (line["x"][0], line["x"][-1]) == (0, 19_999)


def test_of_verdict__200_gates__shows_the_worst_and_counts_the_others() -> None:
    many = [gate_row("passed", f"metric/{number}") for number in range(199)]
    found = document(*many, gate_row("regressed", "metric/last"))
    table = rows(drawn(found)[1])
    assert table[0][:2] == ("❌", "metric/last ↑")
    assert (len(table), table[-1][0]) == (figures.MOST_ROWS + 1, "and 100 more in the verdict")
    assert len(charts.gates_with_chart(found["gates"], most=charts.MOST_PLOTS)) == charts.MOST_PLOTS
    assert len(console_text.lines(found)) < 40


@pytest.mark.parametrize("metric", EVIL)
def test_of_verdict__evil_metric__is_a_text(metric: str) -> None:
    found = document(gate_row("regressed", metric, reason=f"{metric} is bad"), exit_reason=f"{metric} is bad")
    found["warnings"], found["differences_total"] = [metric], 1
    found["differences"] = [{"kind": "input", "name": metric, "candidate": metric, "baseline": None, "matters": True}]
    shown = drawn(found, curves={0: Curves(RISING)}, histories={0: History((0.5,), 0.4, 0.3, 0.7)})
    assert len(shown) == 5
    for plot in shown:
        name = f"{plot.title} {plot.series} {plot.figure['layout']['title']}"
        assert not set("<>&\"'\n\u202e\u200b") & set(name)
        own = texts(plot.figure["data"]).replace("<b>", "").replace("</b>", "").replace("</a>", "")
        assert "<" not in own.replace('<a href=\\"https://', "")
        assert "\u202e" not in own


def test_of_verdict__metrics_whose_titles_are_the_same__have_plots_of_their_own() -> None:
    gates = [gate_row(metric="a<b/x"), gate_row(metric="a>b/x"), gate_row(metric="A b/x")]
    shown = drawn(document(*gates), curves=dict.fromkeys(range(3), Curves(RISING)))
    assert titles(shown)[2:] == ["3 a b/x", "3 a b/x 2", "3 A b/x 3"]


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", 'https://x" onclick="y', "https://x'y", "https://x y", "data:text/html,x", ""]
)
def test_link__address_that_is_none_of_the_web__is_a_text(url: str) -> None:
    assert figures.link("label", url) == "label"


def test_of_verdict__gate_judged_by_its_noise__has_its_own_limit_and_reference() -> None:
    found = document(gate_row(noise=NOISE))
    _, gates, curves = drawn(found, curves={0: Curves(RISING)})
    assert "reference" in gates.figure["data"][0]["header"]["values"]
    assert curves.figure["data"][-1]["y"] == [NOISE["limit"]] * 2


def test_of_verdict__promotion_and_rollback__has_the_move() -> None:
    move = {"action": "promote", "mode": "better", "moved": True, "tag": "Best <b>", "to": "2" * 32, "from": ["1" * 32]}
    facts = facts_of(drawn(document(promotion=move))[0]).values()
    assert f"The tag 'Best &lt;b&gt;' moved from {'1' * 32} to {'2' * 32}." in facts
    facts = facts_of(drawn(document(promotion={**move, "moved": False}))[0]).values()
    assert "The tag 'Best &lt;b&gt;' stays." in facts


def audited(*findings: Any) -> Any:
    made = verdict.audit_error(AUDIT, run=RUN, reason="two findings")
    return {**made, "findings": [*findings], "audited": {"projects": 2, "bests": 1}}


def finding(**changes: Any) -> dict[str, Any]:
    subject = {"kind": "project", "name": "Digits <b>", "url": "https://clearml/projects/p"}
    return {"kind": "no_best", "severity": "finding", "where": subject, "said": "no tag", "do": "tag one", **changes}


def test_of_verdict__audit__has_its_findings_before_its_notes() -> None:
    shown = drawn(audited(finding(severity="note"), finding()))
    assert titles(shown) == ["1 Verdict", "2 Findings"]
    first, second = rows(shown[1])
    assert first == (
        '<a href="https://clearml/projects/p">Digits &lt;b&gt;</a>', "no baseline", "finding", "no tag", "tag one"
    )  # fmt: skip
    assert second[2] == "note"
    assert facts_of(shown[0])["Checked"] == "1 baseline in 2 projects."


def test_lines__check__end_with_table_and_run() -> None:
    lines = console_text.lines(document(), PAGES)
    assert lines[0] == "Verdict: ❌ ClearML CI: regressed · a gate fails"
    assert f"Pull request: owner/name#7 {PAGES.pull_request}" in lines
    assert f"Comment: {PAGES.comment}" in lines
    assert any(line.startswith("❌") and "accuracy/validation ↑" in line for line in lines)
    assert lines[-1] == f"Run: {RUN['url']}"


def test_lines__audit__has_findings() -> None:
    assert any("no baseline" in line for line in console_text.lines(audited(finding())))


@pytest.mark.parametrize("metric", EVIL)
def test_lines__evil_metric__stays_in_its_line(metric: str) -> None:
    lines = console_text.lines(document(gate_row(metric=metric)))
    assert len(lines) == len(console_text.lines(document()))
    assert not any("\u202e" in line or "\n" in line for line in lines)


def test_of_run__report__is_its_verdict() -> None:
    report = {"status": "completed", "result": {"verdict": document(), "comment_url": PAGES.comment}}
    lines = console_text.of_run({**steps(), "report": report})  # type: ignore[dict-item]
    assert lines == console_text.lines(document(), PAGES)


def test_of_run__no_verdict__has_the_fault_of_each_step_once() -> None:
    fault = {"status": "failed", "result": {"fault": "threshold_percent is 'abc': write a number"}}
    left: Any = {**steps(), "compare": fault, "report": {"status": "failed"}}
    assert console_text.of_run(left) == [
        "step compare: threshold_percent is 'abc': write a number",
        "step report left no result (status 'failed'): read its console in ClearML, and rerun",
    ]
