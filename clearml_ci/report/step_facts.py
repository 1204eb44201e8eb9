"""The facts of a step in a few lines: what it did, found and decided, for its console and the page of its task."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from clearml_ci.core.documents import FindingDocument
from clearml_ci.core.formatting import count, duration
from clearml_ci.core.outcome import NOT_NEEDED
from clearml_ci.core.plot import Plot
from clearml_ci.core.step_results import (
    BaselinesResult,
    CompareResult,
    FindTaskResult,
    LaunchDocument,
    LeftoversResult,
    ProbeResult,
    PromoteResult,
    RemoteRunResult,
    ReportResult,
    RetrainResult,
    StaleChecksResult,
    StepResult,
)
from clearml_ci.decisions.audit_findings import FINDING
from clearml_ci.report import facts, gate_table, verdict_facts
from clearml_ci.report.facts import Fact

_MOST = 10  # gates, findings or tasks


_MOST_NOTES = 5


def of_step(name: str, result: StepResult) -> list[Fact]:
    """The facts of the step of this name."""
    failed = [Fact("Failed", facts.sentence(result["fault"]))] if result.get("fault") else []
    try:
        return [*failed, *_BY_NAME[name](result)]
    except KeyError:  # with a fault, all other keys may be missing
        return failed or [Fact("Result", "The result of this step is in its configuration object result.")]


def plot(name: str, result: StepResult) -> Plot:
    """The facts as the first plot of the step's page."""
    return Plot("1 Result", "Result", facts.table("Result", of_step(name, result)))


def _find_task(result: FindTaskResult) -> list[Fact]:
    candidate, rejected, others = result["candidate"], result["rejected"], result.get("runs", [])
    found = facts.of_task("Found", candidate) if candidate else Fact("Found", "No task that can be evidence.")
    more = [f"{count(len(others), 'further clean run')} of this commit"] if others else []
    decided = f"The task is judged{', but: ' + result['doubt'] if result['doubt'] else ''}"
    return [
        Fact("Did", "Looked for the tasks that ran this commit, cleanly and to the end."),
        found,
        *facts.listed("Found", more, most=1),
        *facts.listed("No evidence", [f"{task['name']}: {task['reason']}" for task in rejected], most=_MOST),
        Fact("Decided", facts.sentence(decided if candidate else result["reason"])),
        *_notes(result.get("notes", [])),
    ]


def _compare(result: CompareResult) -> list[Fact]:
    if result["outcome"] is None:
        return [Fact("Decided", facts.sentence(result["reason"]))]
    return [*_compared(result), Fact("Decided", f"{result['outcome'].words.capitalize()}: {result['reason']}.")]


def _compared(result: CompareResult | PromoteResult) -> list[Fact]:
    gates, baseline = gate_table.by_severity(result.get("gates", [])), result.get("baseline")
    judged = [f"{gate['outcome'].sign} {gate['metric']}: {gate['reason']}" for gate in gates]
    differences = result.get("differences_total", 0)
    runs = result.get("runs", [])
    own = sum(not gate.get("slice_of") for gate in gates)
    number = own + sum(of["total"] for of in result.get("slices", []))
    return [
        Fact("Did", f"Judged this commit by {count(number, 'gate')}, from {count(len(runs) or 1, 'run')} of it."),
        *([facts.of_task("Compared with", baseline)] if baseline else []),
        *facts.listed("Found", judged, most=_MOST),
        *(
            [Fact("Found", f"{count(differences, 'difference')} between the inputs of both tasks.")]
            if differences
            else []
        ),
        *facts.listed("Warning", result.get("warnings", []), most=_MOST_NOTES),
        *_notes(result.get("notes", [])),
    ]


def _remote_run(result: RemoteRunResult) -> list[Fact]:
    return _launch(result, "this commit")


def _launch(result: LaunchDocument, code: str) -> list[Fact]:
    if result["outcome"] == NOT_NEEDED:
        return [Fact("Decided", facts.sentence(f"Nothing was run: {result['reason']}"))]
    task, seconds = result["task"], result["seconds"]
    until = {"first-iteration": " until its first iteration", "completion": " to its completion"}
    did = f"Ran {code} on an agent{until.get(result['until'] or '', '')}" if task else f"Did not run {code}"
    times = ", ".join(f"{name} {duration(value)}" for name, value in seconds.items())
    phase = f", phase {result['phase']}" if result["phase"] else ""
    reason = f": {result['reason']}" if result["reason"] else ""
    words = result["outcome"].replace("_", " ").capitalize()
    return [
        Fact("Did", facts.sentence(did)),
        *([facts.of_task("Task", task)] if task else []),
        *([Fact("Time", facts.sentence(times))] if times else []),
        Fact("Decided", facts.sentence(f"{words}{phase}{reason}")),
        *_notes(result.get("notes", [])),
    ]


def _promote(result: PromoteResult) -> list[Fact]:
    compared = _compared(result) if result.get("gates") else []
    candidate, promotion = result.get("candidate"), result.get("promotion")
    moved = promotion and promotion["moved"]
    return [
        *compared,
        *([facts.of_task("Candidate", candidate)] if candidate else []),
        *([Fact("Did", f"Moved the tag '{promotion['tag']}'.")] if promotion and moved else []),
        Fact("Decided", facts.sentence(f"{result['outcome'].words}: {result['reason']}")),
        *([] if compared else _notes(result.get("notes", []))),
    ]


def _report(result: ReportResult) -> list[Fact]:
    verdict, url = result["verdict"], result["comment_url"]
    posted = "Posted the verdict on GitHub" if result["posted"] else "Posted nothing on GitHub; the job may do it"
    return [
        Fact("Verdict", verdict_facts.headline(verdict)),
        Fact("Reason", facts.sentence(verdict["exit_reason"])),
        Fact("Did", f"{posted}.", url),
        *facts.listed("Warning", result["warnings"], most=_MOST_NOTES),
    ]


def _audit_baselines(result: BaselinesResult) -> list[Fact]:
    did = f"Checked {count(result['bests'], 'baseline')} in {count(result['projects'], 'project')}"
    return _audit(did, result["findings"], result["notes"], result["unseen"])


def _audit_leftovers(result: LeftoversResult) -> list[Fact]:
    return _audit(
        "Looked for leftovers of ended runs, at queues, and at templates", result["findings"], result["notes"]
    )


def _audit_stale_checks(result: StaleChecksResult) -> list[Fact]:
    did = "Looked for statuses and check runs on GitHub that no run will finish"
    return _audit(did, result["findings"], result["notes"], result["unseen"])


def _audit_probe(result: ProbeResult) -> list[Fact]:
    return [*_launch(result, "the head of the default branch"), *_findings(result["findings"])]


def _audit_retrain(result: RetrainResult) -> list[Fact]:
    did = f"Trained the head of the default branch {count(len(result['tasks']), 'time')}"
    trained = [facts.of_task("Task", task) for task in result["tasks"][:_MOST]]
    first, *others = _audit(did, result["findings"], result["notes"], result["unseen"])
    return [first, *trained, *others]


def _audit_bisect(result: RetrainResult) -> list[Fact]:
    did = f"Trained merges of the default branch that may have brought drift {count(len(result['tasks']), 'time')}"
    return _audit(did, result["findings"], result["notes"], result["unseen"])


def _audit(
    did: str, findings: Sequence[FindingDocument], notes: Sequence[str], unseen: Sequence[str] = ()
) -> list[Fact]:
    return [
        Fact("Did", facts.sentence(did)),
        *_findings(findings),
        *facts.listed("Not checked", unseen, most=_MOST_NOTES),
        *_notes(notes),
    ]


def _findings(findings: Sequence[FindingDocument]) -> list[Fact]:
    real = [finding for finding in findings if finding["severity"] == FINDING]
    notes = [finding for finding in findings if finding["severity"] != FINDING]
    shown = [
        Fact(label, f"{finding['where']['name']}: {facts.sentence(finding['said'])}", finding["where"]["url"])
        for label, kind in (("Finding", real), ("Note", notes))
        for finding in kind[:_MOST]
    ]
    return [*shown, Fact("Decided", f"{count(len(real), 'finding')}.")]


def _notes(notes: Sequence[str]) -> list[Fact]:
    return facts.listed("Note", notes, most=_MOST_NOTES)


_BY_NAME = cast(
    "Mapping[str, Callable[[Any], list[Fact]]]",
    {
        "find_task": _find_task,
        "compare": _compare,
        "remote_run": _remote_run,
        "promote": _promote,
        "report": _report,
        "audit_baselines": _audit_baselines,
        "audit_leftovers": _audit_leftovers,
        "audit_stale_checks": _audit_stale_checks,
        "audit_probe": _audit_probe,
        "audit_retrain": _audit_retrain,
        "audit_bisect": _audit_bisect,
        "audit_report": _report,
    },
)
