"""The few lines of a step's console and page, from every kind of result."""

import json
from typing import Any

import pytest

from clearml_ci.core import recorded_task
from clearml_ci.core.outcome import NOT_NEEDED, Outcome
from clearml_ci.core.step_results import NAMES
from clearml_ci.decisions import launch_outcome, verdict
from clearml_ci.report import facts, step_facts
from tests.unit.drawing import CHECK, RUN, TASK, gate_row, steps

CANDIDATE = recorded_task.as_document(TASK)
SUBJECT = {"kind": "queue", "name": "ci-code", "url": ""}
FINDINGS = [
    {"kind": "no_workers", "severity": "finding", "where": SUBJECT, "said": "no worker", "do": "start one"},
    {"kind": "idle", "severity": "note", "where": SUBJECT, "said": "it is idle", "do": ""},
]
PROMOTION = {"action": "promote", "mode": "better", "moved": True, "tag": "Best", "to": TASK.id, "from": []}
LAUNCH = launch_outcome.not_launched(Outcome.ERROR, phase="queue", reason="no worker serves the queue")
FOUND: dict[str, Any] = {"candidate": CANDIDATE, "reason": "", "doubt": "", "rejected": [], "runs": [], "notes": []}
REPORT: dict[str, Any] = {
    "verdict": verdict.for_check(CHECK, run=RUN, steps=steps("regressed")),
    "markdown": "### text",
    "posted": True,
    "comment_url": "https://github.com/o/n/pull/7#c",
    "commented": True,
    "status_set": True,
    "warnings": ["a refusal"],
}
RESULTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "find_task": (FOUND, [f"Found: train digits (Digits) {TASK.url}", "Decided: The task is judged."]),
    "compare": (
        {"outcome": Outcome.REGRESSED, "reason": "too low", "gates": [gate_row("regressed")], "baseline": CANDIDATE},
        [
            "Did: Judged this commit by 1 gate, from 1 run of it.",
            f"Compared with: train digits (Digits) {TASK.url}",
            "Found: ❌ accuracy/validation: why.",
            "Decided: Regressed: too low.",
        ],
    ),
    "remote_run": (
        {**LAUNCH, "candidate": None},
        ["Did: Did not run this commit.", "Decided: Error, phase queue: no worker serves the queue."],
    ),
    "promote": (
        {"outcome": Outcome.PASSED, "reason": "it is better", "candidate": CANDIDATE, "promotion": PROMOTION},
        ["Did: Moved the tag 'Best'.", "Decided: Passed: it is better."],
    ),
    "report": (
        REPORT,
        [
            "Verdict: ❌ ClearML CI: regressed · a gate fails",
            "Did: Posted the verdict on GitHub. https://github.com/o/n/pull/7#c",
            "Warning: A refusal.",
        ],
    ),
    "audit_report": (REPORT, ["Reason: Why."]),
    "audit_baselines": (
        {"findings": FINDINGS, "projects": 2, "bests": 1, "notes": ["a note"], "unseen": ["GitHub"]},
        [
            "Did: Checked 1 baseline in 2 projects.",
            "Finding: ci-code: No worker.",
            "Note: ci-code: It is idle.",
            "Decided: 1 finding.",
            "Not checked: GitHub.",
            "Note: A note.",
        ],
    ),
    "audit_leftovers": ({"findings": [], "notes": []}, ["Decided: 0 findings."]),
    "audit_stale_checks": ({"findings": [], "notes": [], "unseen": []}, ["Decided: 0 findings."]),
    "audit_probe": (
        {**LAUNCH, "outcome": NOT_NEEDED, "reason": "no probe is asked for", "commit": "", "findings": []},
        ["Decided: Nothing was run: no probe is asked for.", "Decided: 0 findings."],
    ),
    "audit_retrain": (
        {"tasks": [CANDIDATE], "findings": FINDINGS, "notes": [], "unseen": []},
        ["Did: Trained the head of the default branch 1 time.", f"Task: train digits (Digits) {TASK.url}"],
    ),
    "audit_bisect": (
        {"tasks": [CANDIDATE], "findings": FINDINGS, "notes": [], "unseen": []},
        ["Did: Trained merges of the default branch that may have brought drift 1 time."],
    ),
}


def lines(name: str, result: Any) -> list[str]:
    return facts.lines(step_facts.of_step(name, result))


@pytest.mark.parametrize("name", NAMES)
def test_of_step__each_step__has_what_it_did_found_and_decided(name: str) -> None:
    result: Any
    result, expected = RESULTS[name]
    found = lines(name, result)
    assert [line for line in expected if line not in found] == [], found
    assert len(found) <= 10
    assert json.dumps(step_facts.plot(name, result).figure).count("<b>") == len(found)


@pytest.mark.parametrize("name", NAMES)
def test_of_step__fault__is_the_reason(name: str) -> None:
    assert lines(name, {"fault": "GitHub does not answer"}) == ["Failed: GitHub does not answer."]
    result, expected = RESULTS[name]
    assert lines(name, {**result, "fault": "it broke"})[0] == "Failed: It broke."
    assert expected[0] in lines(name, {**result, "fault": "it broke"})


def test_of_step__unknown_step__names_the_place_of_its_result() -> None:
    assert lines("other", {}) == ["Result: The result of this step is in its configuration object result."]


def test_find_task__no_candidate__has_the_reason_and_the_near_misses() -> None:
    near: list[Any] = [{**CANDIDATE, "reason": f"dirty {number}"} for number in range(20)]
    found = lines("find_task", {**FOUND, "candidate": None, "reason": "no clean run", "rejected": near})
    assert found[1:3] == ["Found: No task that can be evidence.", "No evidence: Train digits: dirty 0."]
    assert found[-2:] == ["No evidence: And 10 more.", "Decided: No clean run."]


def test_find_task__doubt__is_named() -> None:
    assert lines("find_task", {**FOUND, "doubt": "it was continued"})[-1] == (
        "Decided: The task is judged, but: it was continued."
    )


def test_remote_run__training__has_task_and_times() -> None:
    result = {
        **LAUNCH,
        "outcome": Outcome.PASSED,
        "phase": "",
        "reason": "",
        "task": CANDIDATE,
        "until": "completion",
        "seconds": {"queued": 2.0, "setup": 30.0, "running": 7_300.0},
    }
    assert lines("remote_run", result) == [
        "Did: Ran this commit on an agent to its completion.",
        f"Task: train digits (Digits) {TASK.url}",
        "Time: Queued 2 s, setup 30 s, running 2 h.",
        "Decided: Passed.",
    ]


def test_of_step__text_of_a_stranger__is_escaped_in_the_plot_and_in_one_line() -> None:
    task = {**CANDIDATE, "name": "</td><script>\n\u202ex", "url": "javascript:alert(1)"}
    result: Any = {**FOUND, "candidate": task}
    figure = json.dumps(step_facts.plot("find_task", result).figure, ensure_ascii=False)
    assert "<script>" not in figure
    assert "<a " not in figure
    assert not [line for line in lines("find_task", result) if "\n" in line or "\u202e" in line]
