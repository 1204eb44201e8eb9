"""The users' view of a case in a few words. Pure."""

from __future__ import annotations

from tools.faults.truth import Evidence, JobEnd

_KILLED = "SIGKILL"


def of(seen: Evidence) -> str:
    """That of the last job; without one, or if it was killed or does not wait, the commit's status."""
    job = seen.jobs[-1] if seen.jobs else None
    if job is None or not job.waits or job.signalled == _KILLED:
        return _status(seen)
    return _job(job, seen.truth.outcome)


def _job(job: JobEnd, expected: str) -> str:
    if job.hung:
        return "the job hangs"
    if job.exit_code == 4:
        return "error"
    outcome = job.outputs.get("outcome", "")
    shown = "the verdict" if outcome == expected else f"{outcome or 'nothing'} (exit {job.exit_code})"
    return f"{shown}, with a warning" if "::warning::" in job.log else shown


def _status(seen: Evidence) -> str:
    for commit in seen.truth.commits[-1:]:
        statuses = seen.world.commits[commit]["statuses"]
        return f"status {statuses[0]['state']}" if statuses else "no status"
    return "nothing on GitHub"
