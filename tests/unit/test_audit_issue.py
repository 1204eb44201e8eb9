from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core.documents import AuditVerdict
from clearml_ci.decisions import audit_findings, verdict
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.parameters import audit
from clearml_ci.report import audit_issue
from tests.unit.drawing import AUDIT, COMMIT, RUN, as_read

PLANNED = ("audit_baselines", "audit_leftovers", "audit_probe", "audit_report")
FOUND = Finding("no_workers", "finding", Subject("queue", "ci-code", "https://clearml/queues"), "no agent", "start")
NOTE = replace(FOUND, kind="no_best", severity="note", message="no best yet")
PROBED: dict[str, Any] = {
    "outcome": "passed",
    "phase": "",
    "reason": "it reported",
    "log_tail": [],
    "task": None,
    "until": "first-iteration",
    "seconds": {},
    "notes": [],
    "commit": COMMIT,
    "findings": [],
}


def document(*findings: Finding, probe: dict[str, Any] | None = None, name: str = "", **broken: Any) -> AuditVerdict:
    looked = {"findings": audit_findings.as_documents(findings), "projects": 3, "bests": 2, "notes": [], "requests": 5}
    steps: dict[str, Any] = {
        "audit_baselines": {"status": "completed", "result": looked},
        "audit_leftovers": {"status": "completed", "result": {"findings": [], "notes": []}},
        "audit_probe": {"status": "completed", "result": probe or PROBED},
        **broken,
    }
    return verdict.for_audit(replace(AUDIT, name=name), run=RUN, steps=as_read(steps), planned=PLANNED)


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        pytest.param([], ("passed", 0, "success"), id="no findings"),
        pytest.param([NOTE], ("passed", 0, "success"), id="a note"),
        pytest.param([FOUND, NOTE], ("regressed", 1, "failure"), id="a finding"),
    ],
)
def test_for_audit__findings__are_the_verdict(findings: list[Finding], expected: tuple[str, int, str]) -> None:
    found = document(*findings)
    assert (found["outcome"], found["exit_code"], found["state"]) == expected
    assert (found["schema"], found["commit"], found["pull_request"]) == (1, COMMIT, None)
    assert (found["audited"], found["clearml_requests"]) == (
        {"projects": 3, "bests": 2},
        {"audit_baselines": 5},
    )
    assert found["promotion"] is None


def test_error__audit_that_could_not_be_done__has_no_promotion_and_no_pull_request() -> None:
    found = verdict.error(audit.as_check(AUDIT), run=RUN, reason="cancelled")
    assert found == verdict.audit_error(AUDIT, run=RUN, reason="cancelled")
    assert verdict.is_audit(found)
    assert (found["promotion"], found["pull_request"], found["findings"]) == (None, None, [])


@pytest.mark.parametrize(
    ("findings", "outcome", "code", "title"),
    [
        pytest.param([NOTE], "inconclusive", 3, "incomplete", id="nothing found"),
        pytest.param([FOUND], "regressed", 1, "1 finding", id="findings"),
    ],
)
def test_for_audit__step_that_could_not_look__is_never_green(
    findings: list[Finding], outcome: str, code: int, title: str
) -> None:
    dark = {"findings": [], "notes": [], "unseen": ["GitHub could not be asked"]}
    found = document(*findings, audit_retrain={"status": "completed", "result": dark})
    assert (found["outcome"], found["exit_code"]) == (outcome, code)
    assert "GitHub could not be asked" in found["exit_reason"]
    assert audit_issue.title(found) == f"ClearML CI audit: {title}"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param({"status": "failed", "result": None}, "step audit_leftovers left no result", id="no result"),
        pytest.param(
            {"status": "failed", "result": {"fault": "no answer"}}, "step audit_leftovers: no answer", id="fault"
        ),
        pytest.param({}, "(status 'never started')", id="never started"),
    ],
)
def test_for_audit__step_without_a_result__is_an_error_and_never_green(broken: dict[str, Any], reason: str) -> None:
    found = document(FOUND, audit_leftovers=broken)
    assert (found["outcome"], found["exit_code"]) == ("error", 4)
    assert reason in found["exit_reason"]
    assert [one["kind"] for one in found["findings"]] == ["no_workers"]


def test_issue__findings__are_a_table_and_notes_are_folded() -> None:
    text = audit_issue.issue(document(FOUND, NOTE))
    assert text.startswith(audit_issue.marker("owner/name") + "\n\n### ❌ ClearML CI audit: 1 finding\n")
    table, _, notes = text.partition("<details>")
    assert "[ci-code](https://clearml/queues)" in table and "no agent" in table
    assert "no best yet" in notes and "no best yet" not in table
    assert "Checked 2 baselines in 3 projects." in table and f"`{COMMIT[:10]}`" in table


def test_issue__probe_that_failed__shows_the_end_of_its_console() -> None:
    probe = {**PROBED, "outcome": "no_evidence", "phase": "import", "log_tail": ["ImportError: ray"]}
    assert "ImportError: ray" in audit_issue.issue(document(probe=probe))
    assert "<details open>" not in audit_issue.issue(document())


def test_issue__untrusted_text__is_escaped() -> None:
    hostile = replace(
        FOUND, message="@team [x](http://e) <img> | `a`", subject=Subject("task", "a|b](http://e)", "https://c/t")
    )
    text = audit_issue.issue(document(hostile))
    assert "@team" not in text and "<img>" not in text and "](http://e)" not in text


def test_issue__thousands_of_findings__fits_and_says_what_is_left_out() -> None:
    many = [replace(FOUND, message=f"number {number} " + "x" * 400) for number in range(2_000)]
    text = audit_issue.issue(document(*many, NOTE))
    assert len(text) <= audit_issue.LIMIT
    assert "more findings in the verdict." in text and RUN["url"] in text and "number 0 " in text


@pytest.mark.parametrize(
    ("findings", "broken", "expected"),
    [
        pytest.param([], {}, "no findings", id="nothing"),
        pytest.param([FOUND, FOUND], {}, "2 findings", id="findings"),
        pytest.param([FOUND], {"audit_probe": {}}, "could not run", id="fault"),
    ],
)
def test_title__outcome__is_told_in_a_word(findings: list[Finding], broken: dict[str, Any], expected: str) -> None:
    assert audit_issue.title(document(*findings, **broken)) == f"ClearML CI audit: {expected}"


def test_issue__of_a_name__is_another_ones_than_that_of_any_other_name() -> None:
    named, hostile = (document(FOUND, name=name) for name in ("digits", "x --> @team <b>"))
    assert audit_issue.title(named) == "ClearML CI audit: digits · 1 finding"
    assert audit_issue.issue(named).startswith(
        "<!-- clearml-ci audit: owner/name digits -->\n\n### ❌ ClearML CI audit: digits"
    )
    first, _, rest = audit_issue.issue(hostile).partition("\n")
    assert first.count("-->") == 1 and not first.startswith(audit_issue.marker("owner/name", "x"))
    assert "@team" not in rest and "<b>" not in rest
