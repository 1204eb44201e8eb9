"""The outcome of a launch, and the phase in which it failed: read from a task's status, metrics and console."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.formatting import shorten
from clearml_ci.core.outcome import LaunchState, Outcome
from clearml_ci.core.redaction import mask, mask_lines
from clearml_ci.core.step_results import LaunchDocument
from clearml_ci.parameters.remote_run import PROBE, RemoteRun

TAIL = 30  # lines of the console that a verdict carries


# What clearml-agent prints (clearml_agent/commands/worker.py, helper/repo.py).
_STARTED = "Starting Task Execution"


_NOT_CLONED = re.compile(
    r"Failed cloning repository|reference is not a tree|Repository cloning failed|fatal: .*repositor"
)


_NOT_INSTALLED = re.compile(
    r"Could not install task requirements|Failed installing requirements|No matching distribution"
)


_NOT_IMPORTED = re.compile(r"^(?:E\s+)?(?:ModuleNotFoundError|ImportError)\b|^\S*python[\d.]*: No module named ")


# Lines of a console that name a cause, the clearest first.
_CAUSES = (
    _NOT_IMPORTED,
    re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b"),
    re.compile(r"^FAILED "),  # pytest
    re.compile(r"^ERROR\b|can't open file|no such option: |\[Errno \d+\]|^fatal:"),
)


_COLOR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


_CHECKOUT = re.compile(r"[^\s'\"]*/task_repository/[^/\s'\"]+/")  # the agent's clone


@dataclass(frozen=True)
class TaskSnapshot:
    """A launched task at one moment. `queued`, `setup` and `running` are the seconds that it has spent in each so far.

    `started`: its script runs; `progress`: it reported a metric or an iteration of its own; `console`: its last lines;
    `why`: the server's message about the status.
    """

    status: str
    progress: bool
    started: bool
    queued: float
    setup: float
    running: float
    console: tuple[str, ...]
    why: str = ""


@dataclass(frozen=True)
class LaunchOutcome:
    """The outcome of a launch: `passed`, `no_evidence` or `error`; `phase` names what failed, "" if nothing did."""

    outcome: Outcome
    phase: str
    reason: str


def script_started(console: Sequence[str]) -> bool:
    """True if the console shows that the agent started the script."""
    return any(_STARTED in line for line in console)


def outcome_of(launch: RemoteRun, snapshot: TaskSnapshot) -> LaunchOutcome | None:
    """The outcome of the launch, or None if it has not ended yet."""
    if snapshot.status in ("completed", "published", "closed"):
        return LaunchOutcome(Outcome.PASSED, "", "it ran to the end without an error")
    if snapshot.status == "failed":
        return _failed(snapshot)
    if snapshot.status in ("stopped", "created"):
        return LaunchOutcome(Outcome.ERROR, phase(snapshot), f"its task was aborted{_why(snapshot)}")
    if launch.until == PROBE and snapshot.progress:
        return LaunchOutcome(
            Outcome.PASSED, "", f"it reported its first progress {snapshot.running:.0f} s after its start"
        )
    return _late(launch, snapshot)


def _late(launch: RemoteRun, snapshot: TaskSnapshot) -> LaunchOutcome | None:
    """The outcome if a limit was exceeded, else None."""
    if snapshot.status == "queued":
        if snapshot.queued <= launch.queue_limit:
            return None
        text = f"no agent took the task from the queue '{launch.queue}' within {launch.queue_limit:g} s"
        return LaunchOutcome(Outcome.ERROR, "queue", text)
    if not snapshot.started:
        if snapshot.setup <= launch.setup_limit:
            return None
        text = f"its script had not started {launch.setup_limit:g} s after an agent took it"
        return LaunchOutcome(Outcome.NO_EVIDENCE, phase(snapshot), text)
    if snapshot.running <= launch.progress_limit:
        return None
    missing = "reported no progress" if launch.until == PROBE else "had not ended"
    text = f"its script {missing} within {launch.progress_limit:g} s"
    return LaunchOutcome(Outcome.NO_EVIDENCE, "progress", text)


def _failed(snapshot: TaskSnapshot) -> LaunchOutcome:
    failed = phase(snapshot)
    if failed == "clone":
        return LaunchOutcome(Outcome.ERROR, failed, "the agent could not fetch this commit")
    texts = {
        "environment": "the agent could not set up its environment",
        "import": "its script could not import what it needs",
        "script": "its script failed",
    }
    cause = _cause(snapshot.console) or mask(snapshot.why)
    return LaunchOutcome(Outcome.NO_EVIDENCE, failed, texts[failed] + (f": {cause}" if cause else ""))


def phase(snapshot: TaskSnapshot) -> str:
    """The phase that the task is in: queue, clone, environment, import or script."""
    if snapshot.status == "queued":
        return "queue"
    if snapshot.started or script_started(snapshot.console):
        return "import" if any(_NOT_IMPORTED.search(line) for line in _since_start(snapshot.console)) else "script"
    for line in reversed(snapshot.console):
        if _NOT_INSTALLED.search(line):
            return "environment"
        if _NOT_CLONED.search(line):
            return "clone"
    cloned = any(line.startswith(("commit: ", "root: ")) for line in snapshot.console)
    return "environment" if cloned else "clone"


def _cause(console: Sequence[str]) -> str:
    """The first line of the console that names a cause, masked, or ""."""
    lines = [line.strip() for line in mask_lines(_since_start(console))]
    found = (line for pattern in _CAUSES for line in lines if pattern.search(line))
    return shorten(_CHECKOUT.sub("", next(found, "")), 300)


def _since_start(console: Sequence[str]) -> Sequence[str]:
    """The lines that the script printed, or all lines if it never started."""
    starts = [number for number, line in enumerate(console) if _STARTED in line]
    return console[starts[-1] :] if starts else console


def _why(snapshot: TaskSnapshot) -> str:
    return f" ({mask(snapshot.why)})" if snapshot.why else ""


def console_tail(console: Sequence[str]) -> list[str]:
    """The last lines of a console for a verdict: secrets masked, without colours and progress bars."""
    shown = [_COLOR.sub("", line.rsplit("\r", 1)[-1]).rstrip() for line in _since_start(console)]
    return [shorten(line, 400) for line in mask_lines(shown) if line.strip()][-TAIL:]


def not_launched(outcome: LaunchState, *, phase: str, reason: str) -> LaunchDocument:
    """The result of a launch that was not made; `phase` names what refused it."""
    return {
        "outcome": outcome,
        "phase": phase,
        "reason": reason,
        "log_tail": [],
        "task": None,
        "until": None,
        "seconds": {},
        "notes": [],
    }


def as_document(
    launch: RemoteRun, outcome: LaunchOutcome, snapshot: TaskSnapshot, *, task: TaskDocument, notes: Sequence[str]
) -> LaunchDocument:
    """The result of a launch that ended with this outcome and this last snapshot."""
    return {
        "outcome": outcome.outcome,
        "phase": outcome.phase,
        "reason": outcome.reason,
        "log_tail": [] if outcome.outcome == Outcome.PASSED else console_tail(snapshot.console),
        "task": task,
        "until": launch.until,
        "seconds": {
            "queued": round(snapshot.queued, 1),
            "setup": round(snapshot.setup, 1),
            "running": round(snapshot.running, 1),
        },
        "notes": list(notes),
    }
