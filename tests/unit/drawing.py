"""Small drawings of the things that the core decides about."""

import json
from dataclasses import replace
from typing import Any, cast

from clearml_ci.core import documents, recorded_task
from clearml_ci.core.documents import GateRow, RunDocument
from clearml_ci.core.gate import Gate
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions.promotion import Move
from clearml_ci.parameters.audit import Audit, Home
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest

COMMIT = "a" * 40
REPOSITORY = "https://github.com/owner/name.git"

GATE = Gate("accuracy", "validation", tolerance=3.0)

CHECK = Check(
    commit=COMMIT,
    pull_request=PullRequest("owner/name", 7, (REPOSITORY,), "https://api.github.com"),
    project="Digits",
    task_name="train digits",
    gates=(GATE,),
    best_tag="Best Performance",
)

TASK = RecordedTask(
    id="1" * 32,
    name="train digits",
    project_id="p" * 32,
    project="Digits",
    status="completed",
    commit=COMMIT,
    repository=REPOSITORY,
    diff="",
    archived=False,
    url="https://clearml/projects/p/experiments/1/output/log",
)

RUN: RunDocument = {"id": "r" * 32, "url": "https://clearml/pipelines/p/experiments/r"}

MOVE = Move(
    run="r" * 32,
    action="promote",
    state="moved",
    at="2026-01-01T00:00:00+00:00",
    tag="Best Performance",
    project_id=TASK.project_id,
    task_name=TASK.name,
    to=TASK.id,
    previous=("0" * 32,),
    pull_request=7,
    commit=COMMIT,
    merge_commit="b" * 40,
    reason="better",
)


def task(**changes: Any) -> RecordedTask:
    return replace(TASK, **changes)


def gate_row(outcome: str = "passed", metric: str = "accuracy/validation", **changes: Any) -> GateRow:
    row: Any = {
        "metric": metric,
        "title": metric.partition("/")[0],
        "series": metric.partition("/")[2],
        "slice_of": "",
        "at": "",
        "goal": "maximize",
        "which": "best",
        "threshold_percent": 3.0,
        "tolerance": 3.0,
        "relative": True,
        "minimum": None,
        "maximum": None,
        "required": True,
        "outcome": Outcome(outcome),
        "reason": "why",
        "baseline_task": TASK.id,
        "value": 0.95,
        "baseline": 0.96,
        "difference": -0.01,
        "limit": 0.9312,
        "last": 0.94,
        "main": None,
        "noise": None,
        "note": "",
        **changes,
    }
    return cast(GateRow, row)


def steps(outcome: str = "passed", **changes: Any) -> dict[str, Any]:
    """The steps of a run that found its candidate and compared it, as they are read from their tasks."""
    candidate = recorded_task.as_document(TASK)
    found = {
        "find_task": {"status": "completed", "result": {"candidate": candidate, "reason": "", "rejected": []}},
        "compare": {
            "status": "completed",
            "result": {"outcome": outcome, "reason": "why", "gates": [gate_row(outcome)], "warnings": []},
        },
        **changes,
    }
    return dict(as_read(found))


def as_read(document: Any) -> Any:
    """The document after a round trip through JSON, as steps and job read it."""
    return documents.from_json(json.dumps(document))


AUDIT = Audit(
    home=Home("owner/name", REPOSITORY, "https://api.github.com", "main", (REPOSITORY,)),
    commit=COMMIT,
    projects=(),
    task_name="",
    best_tag="Best Performance",
    gates=(GATE,),
    queues=("ci-code",),
)
