"""The verdict document: one JSON schema that drives the comment, the status, the outputs and the exit code."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.decisions import audit_findings
from clearml_ci.parameters import audit, promotion_mode
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.check import Check, plan
from clearml_ci.parameters.remote_run import TRAINING

SCHEMA = 1


Document = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How an outcome shows: `state` is a commit status's, `exit_code` the trigger's."""

    exit_code: int
    state: str
    sign: str


OUTCOMES = {
    "passed": Outcome(0, "success", "✅"),
    "improved": Outcome(0, "success", "🏆"),
    "regressed": Outcome(1, "failure", "❌"),
    "no_evidence": Outcome(1, "failure", "❌"),
    "no_baseline": Outcome(0, "success", "🌱"),
    "inconclusive": Outcome(3, "failure", "❓"),
    "error": Outcome(4, "error", "⚠️"),
}


# Which outcome tells when the remote run and the evidence differ.
_WORST_FIRST = ("error", "no_evidence", "regressed", "inconclusive")


_NOTHING_FOUND: Document = {"findings": [], "audited": None}  # of an audit


_REMOTE = ("outcome", "phase", "reason", "log_tail", "task", "until", "seconds")


def compose(check: Check, *, run: Mapping[str, str], steps: Mapping[str, Mapping[str, Any]]) -> Document:
    """The verdict of a run from what its steps left: `steps` maps a name to `{"status", "result"}`.

    `run` is `{"id", "url"}`. A step without a result is a fault of the machinery: `error`, whatever else is there.
    """
    results = {name: step.get("result") or {} for name, step in steps.items()}
    outcome, reason = _decide(check, steps, results)
    remote, promoted = results.get("remote_run", {}), results.get("promote", {})
    # After a merge, one step both finds and compares.
    found, compared = (results.get(name, promoted) for name in ("find_task", "compare"))
    return {
        "schema": SCHEMA,
        **_shown(check.inconclusive, outcome),
        "exit_reason": reason,
        "name": check.name,
        "repository": check.pull_request.repository,
        "pull_request": check.pull_request.number,
        "commit": check.commit,
        "told_at": check.status_commit,
        "candidate": found.get("candidate") or remote.get("candidate"),
        "baseline": compared.get("baseline"),
        "main_baseline": compared.get("main_baseline"),
        "gates": list(compared.get("gates", [])),
        "differences": list(compared.get("differences", [])),
        "differences_total": compared.get("differences_total", 0),
        "rejected": found.get("rejected", []),
        "remote_run": _remote_document(remote),
        "warnings": [
            *found.get("notes", []),
            *compared.get("warnings", []),
            *remote.get("notes", []),
            *(promoted.get("warnings", []) if compared is not promoted else []),
        ],
        "promotion": promoted.get("promotion") or _unmoved(check),
        "rerun": None,
        "pipeline": dict(run),
        "clearml_requests": _requests(results),
    }


def of_audit(
    asked: Audit,
    *,
    run: Mapping[str, str],
    steps: Mapping[str, Mapping[str, Any]],
    planned: Iterable[str],
) -> Document:
    """The verdict of an audit, in the same schema: `findings` are its own, and it has no pull request.

    A step of `planned` that left no result is an `error`, whatever the others found; what a step could not look at is
    never green.
    """
    results = {name: step.get("result") or {} for name, step in steps.items()}
    probe, looked = results.get("audit_probe", {}), results.get("audit_baselines", {})
    findings = [found for result in results.values() for found in result.get("findings", [])]
    faults = (_fault(name, steps.get(name, {}), results.get(name, {})) for name in planned if name != "audit_report")
    fault = next(filter(None, faults), None)
    unseen = [text for result in results.values() for text in result.get("unseen", [])]
    outcome, reason = ("error", fault) if fault else audit_findings.summed_up(findings, unseen=unseen)
    return {
        **compose(audit.as_check(asked), run=run, steps={}),
        **_shown("fail", outcome),
        "exit_reason": reason,
        "pull_request": None,
        "remote_run": _remote_document(probe),
        "findings": findings,
        "audited": {key: looked[key] for key in ("projects", "bests")} if "bests" in looked else None,
        "warnings": [note for result in results.values() for note in result.get("notes", [])],
        "clearml_requests": _requests(results),
    }


def error(check: Check, *, run: Mapping[str, str], reason: str) -> Document:
    """The verdict of a run that could not judge."""
    found = {**_NOTHING_FOUND, "pull_request": None} if check.action == audit.PIPELINE else {}
    return {**failed(compose(check, run=run, steps={}), reason), **found}


def failed(document: Document, reason: str) -> Document:
    """The same document as an `error`: what it says could not be told, or was never found out."""
    return {**document, **_shown("fail", "error"), "exit_reason": reason}


def doubt(check: Check, *, run: Mapping[str, str], status: str, states: str, report: Mapping[str, Any]) -> str | None:
    """Why a run's report is not the verdict of this very check, or None: green needs a finished run and its word."""
    if report.get("fault"):
        return f"step report: {report['fault']}"
    document = report.get("verdict")
    if status == "stopped":
        return f"the run was aborted in ClearML ({states})"
    if status != "completed" or not document:
        return f"the run ended '{status}' without a verdict ({states})"
    if (document["commit"], document["pipeline"]["id"]) != (check.commit, run["id"]):
        return f"the run reported about commit {document['commit']}, not about {check.commit}"
    return None


def _remote_document(remote: Mapping[str, Any]) -> Document | None:
    return {key: remote.get(key) for key in _REMOTE} if remote.get("outcome") in OUTCOMES else None


def _requests(results: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    return {name: result["requests"] for name, result in results.items() if "requests" in result}


def _shown(inconclusive: str, outcome: str) -> Document:
    """The outcome with its state and exit code, which every surface takes from here."""
    shown = OUTCOMES["passed" if (outcome, inconclusive) == ("inconclusive", "pass") else outcome]
    return {"outcome": outcome, "state": shown.state, "exit_code": shown.exit_code}


def _decide(
    check: Check, steps: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str]:
    """The worst of what the remote run and the evidence say; a fault of any planned step comes before both."""
    for name in plan(check.to_arguments()):
        fault = _fault(name, steps.get(name, {}), results.get(name, {}))
        if fault and name != "report":
            return "error", fault
    promoted = results.get("promote", {})
    if check.action != "check":
        return promoted["outcome"], promoted["reason"]
    said = [*_promoted(promoted), *_remote(results.get("remote_run", {})), *_evidence(check, results)]
    bad = sorted((one for one in said if one[0] in _WORST_FIRST), key=lambda one: _WORST_FIRST.index(one[0]))
    if bad:
        return bad[0][0], "; ".join(dict.fromkeys(reason for _, reason in bad))
    return (said or [("error", "the check was asked for nothing: neither evidence nor a remote run")])[-1]


def _unmoved(check: Check) -> Document | None:
    """What a promotion or a rollback that came to nothing says of itself; None for a check and an audit."""
    if check.action not in promotion_mode.ACTIONS:
        return None
    return {
        "action": check.action,
        "mode": check.promote,
        "moved": False,
        "tag": check.best_tag,
        "to": None,
        "from": [],
        "pull_request": check.pull_request.number,
        "commit": check.commit,
        "merge_commit": check.merge_commit,
    }


def _promoted(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a check that moves the tag itself says of it: only where it could not."""
    return [("error", result["reason"])] if result.get("outcome") == "error" else []


def _remote(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    if result.get("outcome") not in OUTCOMES:
        return []
    if result["outcome"] == "passed":
        return [("passed", f"this commit runs on an agent: {result['reason']}")]
    ran = "does not run" if result.get("task") and result["outcome"] == "no_evidence" else "was not run"
    phase = f" (phase: {result['phase']})" if result["phase"] else ""
    return [(result["outcome"], f"this commit {ran} on an agent{phase}: {result['reason']}")]


def _evidence(check: Check, results: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    if check.candidate == "none":
        return []
    found, trained = results.get("find_task", {}), results.get("remote_run", {})
    if not found.get("candidate") and not trained.get("candidate"):
        # Where a training was to be the evidence, its own word on why there is none is enough.
        return [] if check.candidate in TRAINING else [("no_evidence", found["reason"])]
    if not check.gates:
        return [("passed", "this commit ran cleanly; no metric is compared")]
    return [(results["compare"]["outcome"], results["compare"]["reason"])]


def _fault(name: str, step: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    if result.get("fault"):
        return f"step {name}: {result['fault']}"
    if not result:
        return f"step {name} left no result (status '{step.get('status', 'never started')}')"
    return None
