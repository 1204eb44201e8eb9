"""The results of a run's steps, each stored on the step's task, and the verdict, stored on the run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_ci.clearml_api import ownership, pipeline_runs, run_outcome, task_artifacts, task_fields, task_parameters
from clearml_ci.clearml_api.paging import Record
from clearml_ci.clearml_api.pipeline_runs import EXECUTION, RESULT, STEP_FIELDS, Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import documents, redaction, step_results
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.step_results import NAMES, StepDocument, StepResult, StepResults
from clearml_ci.decisions import accepted_losses, verdict_sentence


@dataclass(frozen=True)
class Step:
    """One step of a run: its ClearML status, and its result, or None before it has left one."""

    id: str
    name: str
    status: str
    result: StepResult | None

    @property
    def document(self) -> StepDocument:
        """The step as a verdict is composed from it."""
        return {"status": self.status, "result": self.result}


def steps(clearml: ClearML, run_id: str) -> dict[str, Step]:
    """The steps that the newest execution of the run has started so far, by name.

    A task with another name is no step of ours.
    """
    return _by_name(pipeline_runs.own_tasks(clearml, run_id, fields=STEP_FIELDS))


def _by_name(tasks: Sequence[Record]) -> dict[str, Step]:
    marked = [task for task in tasks if _is_step(task)]
    own = of_newest_execution(of_controller(marked))
    return {task["name"]: Step(task["id"], task["name"], task["status"], _result(task)) for task in own}


def _is_step(task: Record) -> bool:
    return ownership.purpose_of(task) == "step" and task["name"] in NAMES


def of_controller(steps: Sequence[Record]) -> list[Record]:
    """Those of a run's marked steps, oldest first, that the controller made.

    Pull-request code can create and mark tasks with the keys of its agent, but not in the name of another user. The
    first step is the controller's, because no code is launched before it.
    """
    users = [task_fields.reference_id(step.get("user")) for step in steps]
    return [step for step, user in zip(steps, users, strict=True) if user == users[0]]


def of_newest_execution(steps: Sequence[Record]) -> list[Record]:
    """Those of a run's steps, oldest first, that the newest execution of its controller made.

    Reset and Continue leave the earlier ones, whose results are those of other parameters.
    """
    return [step for step in steps if _execution(step) == _execution(steps[-1])]


def _execution(step: Record) -> str:
    return str((step.get("runtime") or {}).get(EXECUTION) or "")


def _result(task: Mapping[str, Any]) -> StepResult | None:
    item = (task.get("configuration") or {}).get(RESULT)
    try:
        return documents.from_json(item["value"]) if item else None
    except (ValueError, RecursionError):  # a user edited it
        return None


def typed(steps: Mapping[str, Step]) -> StepResults:
    """The results of these steps, as `step_results.by_name`."""
    return step_results.by_name({name: step.result for name, step in steps.items()})


def results(clearml: ClearML, run_id: str) -> StepResults:
    """The results that the run's steps have left so far."""
    return typed(steps(clearml, run_id))


def was_executed_again(clearml: ClearML, run_id: str) -> bool:
    """True if more than one execution of the run's controller has made steps: a user reset or continued it."""
    tasks = pipeline_runs.own_tasks(clearml, run_id, fields=STEP_FIELDS)
    return len({_execution(task) for task in of_controller([task for task in tasks if _is_step(task)])}) > 1


def earlier(clearml: ClearML, run: Run) -> StepResults:
    """The results of the steps that were read with the run; without any, as `results`."""
    return typed(_by_name(run.steps)) if run.steps else results(clearml, run.id)


def store(clearml: ClearML, task: str, result: Mapping[str, object]) -> None:
    """Store a step's result on its own task, in a form that people can read in the web UI."""
    item = {"name": RESULT, "type": "json", "value": json.dumps(redaction.outgoing_document(result), indent=1)}
    clearml.call("tasks.edit", task=task, configuration={RESULT: item}, force=True)


def publish_verdict(clearml: ClearML, run_id: str, verdict: VerdictDocument, body: str) -> None:
    """Store the verdict and its report as artifacts of the run, and its summary in properties, tags and description.

    Raises ClearMLError.
    """
    task_fields.require_id(run_id)
    verdict = redaction.outgoing_document(verdict)
    task_parameters.set_properties(clearml, run_id, _summary(verdict))
    run_outcome.conclude(clearml, run_id, outcome=verdict["outcome"], sentence=verdict_sentence.of(verdict))
    task_artifacts.store(clearml, run_id, "verdict", dict(verdict))
    task_artifacts.store(clearml, run_id, "report", redaction.outgoing_body(body))


def _summary(verdict: VerdictDocument) -> dict[str, str]:
    rerun = {"rerun": verdict["rerun"]["said"]} if verdict["rerun"] else {}
    accepted = {"accepted": accepted_losses.summary(verdict["accepted"])} if verdict["accepted"] else {}
    return {
        "outcome": str(verdict["outcome"]),
        "exit_reason": verdict["exit_reason"],
        "commit": verdict["commit"],
        "pull_request": str(verdict["pull_request"] or ""),
        **accepted,
        **rerun,
    }
