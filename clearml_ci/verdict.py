"""The verdict document: one JSON schema that drives the comment, the status, the outputs and the exit code."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.check import Check

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
    "inconclusive": Outcome(3, "failure", "❔"),
    "error": Outcome(4, "error", "⚠️"),
}


def compose(check: Check, *, run: Mapping[str, str], steps: Mapping[str, Mapping[str, Any]]) -> Document:
    """The verdict of a run from what its steps left: `steps` maps a name to `{"status", "result"}`.

    `run` is `{"id", "url"}`. A step without a result is a fault of the machinery: `error`, whatever else is there.
    """
    results = {name: step.get("result") or {} for name, step in steps.items()}
    outcome, reason = _decide(check, steps, results)
    compared = results.get("compare", {})
    return {
        "schema": SCHEMA,
        **_shown(check.inconclusive, outcome),
        "exit_reason": reason,
        "repository": check.pull_request.repository,
        "pull_request": check.pull_request.number,
        "commit": check.commit,
        "candidate": results.get("find_task", {}).get("candidate"),
        "baseline": compared.get("baseline"),
        "main_baseline": compared.get("main_baseline"),
        "gates": list(compared.get("gates", [])),
        "differences": list(compared.get("differences", [])),
        "differences_total": compared.get("differences_total", 0),
        "rejected": results.get("find_task", {}).get("rejected", []),
        "warnings": list(compared.get("warnings", [])),
        "pipeline": dict(run),
        "clearml_requests": {n: r["requests"] for n, r in results.items() if "requests" in r},
    }


def error(check: Check, *, run: Mapping[str, str], reason: str) -> Document:
    """The verdict of a run that could not judge."""
    return failed(compose(check, run=run, steps={}), reason)


def failed(document: Document, reason: str) -> Document:
    """The same document as an `error`: what it says could not be told, or was never found out."""
    return {**document, **_shown("fail", "error"), "exit_reason": reason}


def doubt(check: Check, *, run: Mapping[str, str], status: str, states: str, report: Mapping[str, Any]) -> str | None:
    """Why a run's report is not the verdict of this very check, or None: green needs a finished run and its word."""
    if report.get("fault"):
        return f"step report: {report['fault']}"
    document = report.get("verdict")
    if status != "completed" or not document:
        return f"the run ended '{status}' without a verdict ({states})"
    if (document["commit"], document["pipeline"]["id"]) != (check.commit, run["id"]):
        return f"the run reported about commit {document['commit']}, not about {check.commit}"
    return None


def _shown(inconclusive: str, outcome: str) -> Document:
    """The outcome with its state and exit code, which every surface takes from here."""
    shown = OUTCOMES["passed" if (outcome, inconclusive) == ("inconclusive", "pass") else outcome]
    return {"outcome": outcome, "state": shown.state, "exit_code": shown.exit_code}


def _decide(
    check: Check, steps: Mapping[str, Mapping[str, Any]], results: Mapping[str, Mapping[str, Any]]
) -> tuple[str, str]:
    for name in ["find_task", *(["compare"] if check.gates else [])]:
        fault = _fault(name, steps.get(name, {}), results.get(name, {}))
        if fault:
            return "error", fault
    if not results["find_task"].get("candidate"):
        return "no_evidence", results["find_task"]["reason"]
    if not check.gates:
        return "passed", "this commit ran cleanly; no metric is compared"
    return results["compare"]["outcome"], results["compare"]["reason"]


def _fault(name: str, step: Mapping[str, Any], result: Mapping[str, Any]) -> str | None:
    if result.get("fault"):
        return f"step {name}: {result['fault']}"
    if not result:
        return f"step {name} left no result (status '{step.get('status', 'never started')}')"
    return None
