import json
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from clearml_ci.core import comparability, documents, gate, recorded_task
from clearml_ci.core.comparability import Inputs, MatchRules
from clearml_ci.core.documents import AuditVerdict, VerdictDocument
from clearml_ci.core.gate import Judgement
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions import audit_findings, launch_outcome, promotion, verdict
from clearml_ci.decisions.audit_findings import Finding, Subject
from clearml_ci.decisions.launch_outcome import LaunchOutcome, TaskSnapshot
from clearml_ci.parameters import remote_run
from tests.unit.drawing import AUDIT, CHECK, GATE, RUN, TASK, as_read

TASK_DOCUMENT = recorded_task.as_document(TASK)
JUDGED = Judgement(Outcome.PASSED, "holds", 1.0, 0.9, 0.8, TASK.id, 1.0)
DIFFERENCES = comparability.differences(MatchRules(), Inputs({"Args/lr": "1"}, {}, {}), Inputs({}, {}, {}))
LAUNCH = remote_run.from_arguments({"run_until": "first-iteration"})
SEEN = TaskSnapshot("completed", True, True, 1.0, 2.0, 3.0, ())
RESULTS: dict[str, Any] = {
    "find_task": {
        "candidate": TASK_DOCUMENT,
        "reason": "",
        "rejected": [{**TASK_DOCUMENT, "reason": "is archived"}],
        "main_baseline": TASK.id,
        "notes": ["reused"],
        "requests": 5,
    },
    "compare": {
        "outcome": "passed",
        "reason": "holds",
        "baseline": TASK_DOCUMENT,
        "main_baseline": TASK_DOCUMENT,
        "gates": [gate.as_row(GATE, JUDGED, main=0.9)],
        "differences": comparability.as_documents(DIFFERENCES),
        "differences_total": 1,
        "warnings": ["careful"],
    },
    "remote_run": {
        **launch_outcome.as_document(
            LAUNCH, LaunchOutcome(Outcome.PASSED, "", "it ran"), SEEN, task=TASK_DOCUMENT, notes=["read"]
        ),
        "candidate": None,
    }
    if LAUNCH
    else {},
    "promote": {"outcome": "passed", "reason": "moved", "promotion": promotion.as_document(CHECK, to=TASK.id)},
}
FINDING = Finding("no_best", "note", Subject("project", "Digits", "https://clearml/p"), "no task", "tag one")


def steps(results: dict[str, Any]) -> Any:
    return as_read({name: {"status": "completed", "result": result} for name, result in results.items()})


def problems(document: object, hint: Any, at: str = "") -> list[str]:
    """The places at which a document has other keys or types than its TypedDict."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        each = [problems(document, part, at) for part in parts]
        return [] if [] in each else each[0]
    if kind is Literal:
        return [] if document in parts else [f"{at}: {document!r} is none of {parts}"]
    if not isinstance(document, {float: (int, float)}.get(kind, dict if is_typeddict(kind) else kind)):
        return [f"{at}: {document!r} is no {hint}"]
    if is_typeddict(kind) and isinstance(document, dict):
        hints = get_type_hints(kind)
        if document.keys() != hints.keys():
            return [f"{at}: keys {sorted(document.keys() ^ hints.keys())}"]
        return [found for key, value in document.items() for found in problems(value, hints[key], f"{at}.{key}")]
    values = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return [found for value in values for found in problems(value, parts[-1], f"{at}[]")]


def test_for_check__every_step_left_a_result__has_exactly_the_keys_of_the_document() -> None:
    document = verdict.for_check(CHECK, run=RUN, steps=steps(RESULTS))
    assert (document["outcome"], len(document["gates"]), len(document["differences"])) == ("passed", 1, 1)
    assert None not in (document["remote_run"], document["promotion"], document["candidate"], document["baseline"])
    rerun = {"by": "Ada", "changes": [], "original": "r", "said": "rerun by Ada"}
    assert problems({**document, "rerun": rerun}, VerdictDocument) == []


def test_for_check__nothing_left__has_the_same_keys() -> None:
    assert problems(verdict.for_check(CHECK, run=RUN, steps={}), VerdictDocument) == []


def test_for_audit__findings__has_exactly_the_keys_of_the_document() -> None:
    found = {"findings": audit_findings.as_documents([FINDING]), "notes": ["read"], "unseen": []}
    left = {"audit_baselines": {**found, "projects": 3, "bests": 2}, "audit_probe": RESULTS["remote_run"]}
    document = verdict.for_audit(AUDIT, run=RUN, steps=steps(left), planned=left)
    assert (document["outcome"], len(document["findings"]), document["audited"]) == (
        "passed",
        1,
        {"projects": 3, "bests": 2},
    )
    assert problems(document, AuditVerdict) == []
    assert problems(verdict.audit_error(AUDIT, run=RUN, reason="cancelled"), AuditVerdict) == []


def test_problems__document_with_other_keys_or_types__are_found() -> None:
    document = verdict.for_check(CHECK, run=RUN, steps=steps(RESULTS))
    assert problems({**document, "more": 1}, VerdictDocument) == [": keys ['more']"]
    assert problems({**document, "state": "green"}, VerdictDocument)
    assert problems({**document, "gates": [{"metric": "a/1"}]}, VerdictDocument)
    assert problems({**document, "commit": None}, VerdictDocument)


def test_from_json__verdict__is_the_same_document_with_outcomes_at_every_level() -> None:
    document = verdict.for_check(CHECK, run=RUN, steps=steps(RESULTS))
    read: VerdictDocument = documents.from_json(json.dumps(document))
    assert read == document
    assert read["remote_run"] is not None
    assert all(isinstance(outcome, Outcome) for outcome in (read["outcome"], read["remote_run"]["outcome"]))
    assert all(isinstance(row["outcome"], Outcome) for row in read["gates"])


@pytest.mark.parametrize("text", ['{"outcome": "not_needed"}', '{"outcome": null}', '{"outcome": "later"}', "[1]"])
def test_from_json__other_values__stay_as_they_are(text: str) -> None:
    assert documents.from_json(text) == json.loads(text)


@pytest.mark.parametrize("outcome", list(Outcome))
def test_outcome__text__is_its_name_in_json_and_in_every_format(outcome: Outcome) -> None:
    name = outcome.name.lower()
    assert (str(outcome), f"{outcome}", f"{outcome:>3}", json.loads(json.dumps(outcome))) == (name,) * 4
    assert json.dumps({outcome: outcome}, indent=1) == json.dumps({name: name}, indent=1)
    assert (outcome == name, {name: 1}[outcome], outcome.words) == (True, 1, name.replace("_", " "))


def test_holds__outcomes_of_a_gate__are_those_that_let_a_check_pass() -> None:
    assert {outcome for outcome in Outcome if outcome.exit_code == 0} == HOLDS
