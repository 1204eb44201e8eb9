"""Does main's head still run on an agent today? It is launched as a check would launch it, and ended again."""

from typing import Any

from clearml_ci import (
    audit,
    audit_findings,
    clearml_gateway,
    clearml_launch,
    diagnosis,
    evidence,
    github_reads,
    pull_code,
    remote,
    step,
)
from clearml_ci.audit import Audit
from clearml_ci.audit_findings import Where
from clearml_ci.clearml_gateway import ClearML, ClearMLError, Run
from clearml_ci.errors import UsageError
from clearml_ci.github_gateway import GitHub, GitHubError
from clearml_ci.remote import RemoteRun

_NOTHING: dict[str, Any] = {"log_tail": [], "task": None, "until": None, "seconds": {}, "notes": []}


def audit_probe(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"outcome", "phase", "reason", "log_tail", "task", "commit", "until", "seconds", "notes", "findings"}`."""
    wanted = audit.from_arguments(run.arguments)
    launch = remote.from_arguments(run.arguments)
    if launch is None:
        return {"outcome": "not_needed", "phase": "", "reason": "no probe is asked for", "findings": [], **_NOTHING}
    remote.refuse_shared_queue(run.arguments, code=launch.queue)
    hub = step.github_if_any(audit.as_check(wanted))
    try:
        commit = _head(hub, wanted)
    except GitHubError as error:
        return {"fault": str(error)}
    result = {"commit": commit, **_probe(clearml, run, wanted, launch, hub, commit)}
    if result["outcome"] == "error" and not result["phase"]:
        return {"fault": result["reason"]}
    home = Where("project", wanted.home.repository, "")
    return {**result, "findings": audit_findings.as_documents(audit_findings.of_probe(result, home))}


def _head(hub: GitHub | None, wanted: Audit) -> str:
    """Main's head as the run has it, or as GitHub does. Raises GitHubError and UsageError."""
    if wanted.commit:
        return wanted.commit
    if hub is None:
        raise UsageError("commit is empty, and the steps' agent has no GITHUB_TOKEN to ask for main's head: give one")
    return github_reads.branch_head(hub, wanted.home.base)


def _probe(
    clearml: ClearML, run: Run, wanted: Audit, launch: RemoteRun, hub: GitHub | None, commit: str
) -> dict[str, Any]:
    try:
        code, notes = pull_code.of(hub, audit.as_check(wanted, commit=commit), launch)
        queue = clearml_gateway.watched_queues(clearml, [launch.queue])[launch.queue]
    except GitHubError as error:
        return {"outcome": "error", "phase": "settings", "reason": str(error), **_NOTHING}
    except (UsageError, ClearMLError) as error:
        return {"outcome": "error", "phase": "queue", "reason": str(error), **_NOTHING}
    launched = clearml_launch.run(clearml, launch, code, queue=queue.id, run=run.id, tell=step.say)
    ending, seen = launched.ending, launched.seen
    return {
        "outcome": ending.outcome,
        "phase": ending.phase,
        "reason": ending.reason,
        "log_tail": [] if ending.outcome == "passed" else diagnosis.tail(seen.console),
        "task": evidence.as_document(launched.task),
        "until": launch.until,
        "seconds": {name: round(getattr(seen, name), 1) for name in ("queued", "setup", "running")},
        "notes": notes,
    }


if __name__ == "__main__":
    step.main(audit_probe)
