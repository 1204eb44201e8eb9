"""The verdict document: one JSON schema that drives the comment, the status, the outputs and the exit code."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, TypeGuard, cast

from clearml_ci.core import step_results
from clearml_ci.core.documents import (
    AuditVerdict,
    FindingDocument,
    PromotionDocument,
    RemoteRunDocument,
    RunDocument,
    VerdictDocument,
)
from clearml_ci.core.outcome import NOT_NEEDED, Outcome, State
from clearml_ci.core.recorded_task import SUCCESSFUL
from clearml_ci.core.step_results import (
    CompareResult,
    LaunchDocument,
    PromoteResult,
    ReportResult,
    StepDocument,
)
from clearml_ci.decisions import audit_findings, conclusion, promotion
from clearml_ci.parameters import audit, promotion_mode
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.check import Check

SCHEMA = 1


class _Conclusion(TypedDict):
    outcome: Outcome
    state: State
    exit_code: int


class _Findings(TypedDict, total=False):
    """The keys that the results of an audit's steps share."""

    findings: list[FindingDocument]
    notes: list[str]
    unseen: list[str]


def for_check(check: Check, *, run: RunDocument, steps: Mapping[str, StepDocument]) -> VerdictDocument:
    """The verdict of a check, a promotion or a rollback, from what its steps left.

    A step without a result is a fault of the machinery: `error`, whatever else is there.
    """
    outcome, reason = conclusion.of_check(check, steps)
    results = step_results.by_name(conclusion.results_of(steps))
    found, remote, promoted = results["find_task"], results["remote_run"], results["promote"]
    # After a merge, one step both finds and compares.
    finder = found if "find_task" in steps else promoted
    compared: CompareResult | PromoteResult = results["compare"] if "compare" in steps else promoted
    return {
        "schema": SCHEMA,
        **_conclusion(check.inconclusive, outcome),
        "exit_reason": reason,
        "name": check.name,
        "repository": check.pull_request.repository,
        "pull_request": check.pull_request.number,
        "commit": check.commit,
        "told_at": check.status_commit,
        "merge_group": list(check.group),
        "candidate": finder.get("candidate") or remote.get("candidate"),
        "runs": list(compared.get("runs", [])),
        "baseline": compared.get("baseline"),
        "main_baseline": compared.get("main_baseline"),
        "gates": list(compared.get("gates", [])),
        "slices": list(compared.get("slices", [])),
        "differences": list(compared.get("differences", [])),
        "differences_total": compared.get("differences_total", 0),
        "accepted": compared.get("accepted", []),
        "rejected": found.get("rejected", []),
        "remote_run": _remote_run(remote),
        "warnings": [
            *finder.get("notes", []),
            *compared.get("warnings", []),
            *remote.get("notes", []),
            *(promoted.get("warnings", []) if compared is not promoted else []),
        ],
        "promotion": promoted.get("promotion") or _unmoved(check),
        "rerun": None,
        "pipeline": {"id": run["id"], "url": run["url"]},
        "clearml_requests": _requests(steps),
    }


def for_audit(
    audit_: Audit, *, run: RunDocument, steps: Mapping[str, StepDocument], planned: Iterable[str]
) -> AuditVerdict:
    """The verdict of an audit, in the same schema: `findings` are its own, and it has no pull request.

    A step of `planned` that left no result is an `error`, whatever the others found; what a step could not look at is
    never green.
    """
    results = cast(list[_Findings], list(conclusion.results_of(steps).values()))
    by_name = step_results.by_name(conclusion.results_of(steps))
    probe, baselines = by_name["audit_probe"], by_name["audit_baselines"]
    findings = [finding for result in results for finding in result.get("findings", [])]
    fault = next(filter(None, (conclusion.fault(name, steps) for name in planned if name != "audit_report")), None)
    unseen = [text for result in results for text in result.get("unseen", [])]
    outcome, reason = (Outcome.ERROR, fault) if fault else audit_findings.summarize(findings, unseen=unseen)
    looked_at = "bests" in baselines
    return {
        **for_check(audit.as_check(audit_), run=run, steps={}),
        **_conclusion("fail", outcome),
        "exit_reason": reason,
        "pull_request": None,
        "remote_run": _remote_run(probe),
        "findings": findings,
        "audited": {"projects": baselines["projects"], "bests": baselines["bests"]} if looked_at else None,
        "warnings": [note for result in results for note in result.get("notes", [])],
        "clearml_requests": _requests(steps),
    }


def error(check: Check, *, run: RunDocument, reason: str) -> VerdictDocument:
    """The verdict of a run that failed before its report; that of an audit is an AuditVerdict."""
    document = as_error(for_check(check, run=run, steps={}), reason)
    return _without_findings(document) if check.action == audit.PIPELINE else document


def audit_error(audit_: Audit, *, run: RunDocument, reason: str) -> AuditVerdict:
    """The verdict of an audit that could not look at anything."""
    return _without_findings(as_error(for_check(audit.as_check(audit_), run=run, steps={}), reason))


def _without_findings(document: VerdictDocument) -> AuditVerdict:
    return {**document, "findings": [], "audited": None, "pull_request": None}


def as_error(document: VerdictDocument, reason: str) -> VerdictDocument:
    """The same document as an `error`: the run failed, or the job could not publish it."""
    return {**document, **_conclusion("fail", Outcome.ERROR), "exit_reason": reason}


def is_audit(document: VerdictDocument) -> TypeGuard[AuditVerdict]:
    """True for the verdict of an audit."""
    return "findings" in document


def is_let_pass(document: VerdictDocument) -> bool:
    """True if the policy lets this inconclusive verdict pass."""
    return (document["outcome"], document["exit_code"]) == (Outcome.INCONCLUSIVE, 0)


def why_invalid(check: Check, *, run: RunDocument, status: str, states: str, report: ReportResult | None) -> str | None:
    """The reason why a run's report is not the verdict of this very check, or None.

    A check passes only with a completed run and its verdict.

    `status` is the run's, `states` those of its steps in words.
    """
    if report and report.get("fault"):
        return f"step report: {report['fault']}"
    document = report.get("verdict") if report else None
    if status == "stopped":
        return f"the run was aborted in ClearML ({states}): rerun it"
    if status not in SUCCESSFUL or not document:  # a user can publish the run before the job looks
        return f"the run ended '{status}' without a verdict ({states}): read the consoles of its tasks, and rerun it"
    if (document["commit"], document["pipeline"]["id"]) != (check.commit, run["id"]):
        return f"the run reported about commit {document['commit']}, not about {check.commit}: start a new run"
    if check.has_status and document["told_at"] != check.status_commit:  # GitHub shows the verdict there
        return f"the run reported about commit {document['told_at']}, not about {check.status_commit}: start a new run"
    return None


def why_issue_stays(document: AuditVerdict, *, unchecked: bool, edited: bool) -> str:
    """Reason why an audit leaves the issue as it is, or "": only one with unedited parameters may close it."""
    if unchecked:
        return "nothing was checked, and the issue is left as it is"
    if edited and document["exit_code"] == 0:
        return "the parameters were edited, and there are no findings: the issue is left as it is"
    return ""


def _remote_run(launch: LaunchDocument) -> RemoteRunDocument | None:
    """The launch as the verdict carries it; None if there was none."""
    outcome = launch.get("outcome", NOT_NEEDED)
    if outcome == NOT_NEEDED:
        return None
    return {
        "outcome": outcome,
        "phase": launch["phase"],
        "reason": launch["reason"],
        "log_tail": launch["log_tail"],
        "task": launch["task"],
        "until": launch["until"],
        "seconds": launch["seconds"],
    }


def _requests(steps: Mapping[str, StepDocument]) -> dict[str, int]:
    return {name: result["requests"] for name, result in conclusion.results_of(steps).items() if "requests" in result}


def conclusion_of(outcome: Outcome) -> dict[str, Any]:
    """The outcome with its state and exit code."""
    return dict(_conclusion("fail", outcome))


def _conclusion(inconclusive: str, outcome: Outcome) -> _Conclusion:
    """The outcome with its state and exit code, which every surface takes from here."""
    shown = Outcome.PASSED if (outcome, inconclusive) == (Outcome.INCONCLUSIVE, "pass") else outcome
    return {"outcome": outcome, "state": shown.state, "exit_code": shown.exit_code}


def _unmoved(check: Check) -> PromotionDocument | None:
    """The promotion or rollback of a run that moved nothing; None for a check and an audit."""
    return promotion.as_document(check, to=None) if check.action in promotion_mode.ACTIONS else None
