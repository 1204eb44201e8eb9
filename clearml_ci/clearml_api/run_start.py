"""Start a pipeline run exactly once, also if the answer to the request is lost.

Each request carries a key of its own in the run's `Args`, by which the run is found if no answer comes. The job then
writes the key on the run as well. A server can carry out a request after its job has given it up: that run lacks the
job's key, and its controller ends it.
"""

import secrets
from collections.abc import Mapping
from typing import Any

from clearml_ci.clearml_api import (
    ownership,
    patience,
    pipeline_code,
    pipeline_runs,
    run_cancellation,
    run_labels,
    started_runs,
    task_fields,
    task_parameters,
    task_queue,
    task_status,
)
from clearml_ci.clearml_api.pipeline_code import PipelineCode
from clearml_ci.clearml_api.pipeline_runs import START_ARGUMENT, START_FIELDS, START_PROPERTY
from clearml_ci.clearml_api.session import PATIENCE, ClearML, ClearMLError, LostAnswerError
from clearml_ci.clearml_api.worker_queues import Queue
from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.parameters import run_arguments

_LATE = 15  # seconds that a server may take to carry out a request whose answer was lost


def start(
    clearml: ClearML,
    *,
    template: str,
    queue: Queue,
    arguments: Mapping[str, str],
    clock: Clock,
    code: PipelineCode | None = None,
) -> str:
    """The id of a new, enqueued run of the template: the same request as the web UI's New run. Raises ClearMLError.

    A run that does not execute `code` is stopped. The caller acknowledges the run, without which it ends itself.
    """
    try:
        run = _start(clearml, template, queue, arguments, clock)
    except LostAnswerError:
        run = _start(clearml, template, queue, arguments, clock)
    if code:
        _require_code(clearml, run, code, clock)
    return run


def _require_code(clearml: ClearML, run: str, code: PipelineCode, clock: Clock) -> None:
    """Stop a run that its template, edited after it was looked at, made execute other code. Raises ClearMLError."""
    task = patience.result(clock, lambda: task_fields.read(clearml, run, pipeline_code.FIELDS))
    if changed := pipeline_code.why_changed(task, code):
        reason = f"the run {run} would not execute the code of ClearML CI: {changed} was edited"
        run_cancellation.request_stop(clearml, run, reason=f"ClearML CI: {reason}")
        raise ClearMLError(f"{reason}, and the run was stopped: look in ClearML who changed it, and revoke their keys")


def _start(clearml: ClearML, template: str, queue: Queue, arguments: Mapping[str, str], clock: Clock) -> str:
    key = secrets.token_hex(16)
    given = {**run_arguments.with_start(arguments), START_ARGUMENT: key}
    try:
        answer = clearml.call(
            "pipelines.start_pipeline",
            task=template,
            queue=queue.id,
            args=[{"name": name, "value": value} for name, value in given.items()],
            verify_watched_queue=True,
        )
        run, enqueued = _id_in(answer), answer.get("enqueued")
    except LostAnswerError:
        run, enqueued = _of_request(clearml, template, key, clock), False
        if not run:
            raise
    if not enqueued and task_status.read(clearml, run) == "created":
        task_queue.enqueue(clearml, run, queue=queue.id)
    return run


def _id_in(answer: Mapping[str, Any]) -> str:
    """The id of the started run. Raises LostAnswerError if the answer has none: a proxy gave it."""
    if not answer.get("pipeline"):
        raise LostAnswerError("pipelines.start_pipeline: the answer names no run: check ClearML's address and proxy")
    return str(answer["pipeline"])


def _of_request(clearml: ClearML, template: str, key: str, clock: Clock) -> str:
    """The run that the request with this key started; "" if there is none after a while."""
    began = poll.started(clock)

    def found() -> str | None:
        project = task_fields.read(clearml, template, ["project.id"])["project"]["id"]
        runs = pipeline_runs.newest(clearml, project, ["hyperparams.Args"])
        ids = (run["id"] for run in runs if task_parameters.values(run, "Args").get(START_ARGUMENT) == key)
        return next(ids, "" if began.elapsed() > _LATE else None)

    return poll.until(
        clock, poll.tolerant(clock, found, error=ClearMLError, patience=PATIENCE), pace=Pace(0.5, later=2, after=3)
    )


def acknowledge(clearml: ClearML, run: str, *, rerun: bool = False) -> None:
    """Label a run, and write on it that the process which started it knows it. Idempotent. Raises ClearMLError.

    Unless it is a `rerun`, it is marked as the job's own before that: its controller waits for what is written last.
    """
    ownership.mark(clearml, run, run=run, purpose="run")
    run_labels.put_in_order(clearml, run, rerun=rerun)
    if not rerun:
        started_runs.mark(clearml, run)
    key = task_parameters.argument(clearml, run, START_ARGUMENT)
    task_parameters.set_properties(clearml, run, {START_PROPERTY: key})


def is_followed(clearml: ClearML, run: str, *, clock: Clock) -> bool:
    """False if a job's request started this run, and the job does not learn of it. Raises ClearMLError."""

    def known() -> bool | None:
        return pipeline_runs.is_known_to_its_job(task_fields.read(clearml, run, START_FIELDS)) or None

    look = poll.tolerant(clock, known, error=ClearMLError, patience=PATIENCE)
    try:
        return poll.until(clock, look, pace=Pace(1), timeout=PATIENCE)
    except TimedOutError:
        return False
