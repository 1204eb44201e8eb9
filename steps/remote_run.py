"""Run the pull request's code on an agent: a probe, a training, or its tests. Whatever happens, it ends clean."""

from typing import Any

from clearml_ci import (
    check,
    clearml_gateway,
    clearml_launch,
    clearml_queues,
    clearml_runs,
    diagnosis,
    evidence,
    pull_code,
    remote,
    step,
)
from clearml_ci.clearml_gateway import ClearML
from clearml_ci.clearml_runs import Run
from clearml_ci.diagnosis import Ending
from clearml_ci.errors import UsageError
from clearml_ci.github_gateway import GitHubError
from clearml_ci.remote import RemoteRun


def remote_run(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"outcome", "phase", "reason", "log_tail", "task", "candidate", "until", "seconds", "notes"}`.

    `outcome` is `not_needed` where nothing had to be launched; `candidate` is the task that a training leaves to be
    judged, and `phase` is where it failed: settings, approval, queue, clone, environment, import, script, progress.
    """
    wanted = check.from_arguments(run.arguments)
    try:
        launch = remote.from_arguments(run.arguments)
        if launch is None or _was_run_already(clearml, run, launch):
            return _unlaunched(Ending("not_needed", "", "this commit was run already"))
        remote.refuse_shared_queue(run.arguments, code=launch.queue)
        remote.refuse_out_of_reach(launch, project=wanted.project, task_name=wanted.task_name)
        hub = step.github_if_any(wanted)
        if refused := pull_code.refusal(hub, wanted, launch):
            return _unlaunched(Ending("no_evidence", "approval", refused))
        code, notes = pull_code.of(hub, wanted, launch)
    except (UsageError, GitHubError) as error:
        return _unlaunched(Ending("error", "settings", str(error)))
    try:
        queue = clearml_queues.watched_queues(clearml, [launch.queue])[launch.queue]
    except (UsageError, clearml_gateway.ClearMLError) as error:
        return _unlaunched(Ending("error", "queue", str(error)))
    launched = clearml_launch.run(clearml, launch, code, queue=queue.id, run=run.id, tell=step.say)
    return _result(launch, launched, notes)


def _was_run_already(clearml: ClearML, run: Run, launch: RemoteRun) -> bool:
    found = clearml_runs.steps(clearml, run.id).get("find_task")
    return launch.candidate == "find-or-train" and bool(found and (found.result or {}).get("candidate"))


def _unlaunched(ending: Ending) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "log_tail": [],
        "task": None,
        "candidate": None,
        "until": None,
        "seconds": {},
        "notes": [],
    }
    return {"outcome": ending.outcome, "phase": ending.phase, "reason": ending.reason, **nothing}


def _result(launch: RemoteRun, launched: clearml_launch.Launched, notes: list[str]) -> dict[str, Any]:
    ending, seen, task = launched.ending, launched.seen, evidence.as_document(launched.task)
    passed = ending.outcome == "passed"
    return {
        "outcome": ending.outcome,
        "phase": ending.phase,
        "reason": ending.reason,
        "log_tail": [] if passed else diagnosis.tail(seen.console),
        "task": task,
        "candidate": task if passed and launch.purpose == "training" else None,
        "until": launch.until,
        "seconds": {name: round(getattr(seen, name), 1) for name in ("queued", "setup", "running")},
        "notes": notes,
    }


if __name__ == "__main__":
    step.main(remote_run)
