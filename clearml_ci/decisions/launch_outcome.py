"""What a launched task came to, read from its status, its metrics and its console: pure, and told in a phase's name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.outcome import LaunchState, Outcome
from clearml_ci.core.redaction import mask
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


# What a console says went wrong, the plainest first.
_CAUSES = (
    _NOT_IMPORTED,
    re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b"),
    re.compile(r"^FAILED "),  # pytest
    re.compile(r"^ERROR\b|can't open file|no such option: |\[Errno \d+\]|^fatal:"),
)


_CHECKOUT = re.compile(r"[^\s'\"]*/task_repository/[^/\s'\"]+/")  # where the agent put the repository


@dataclass(frozen=True)
class Seen:
    """A launched task at one moment. `queued`, `setup` and `running` are the seconds that it has spent in each so far.

    `progress`: it reported something of its own; `console`: its last lines; `why`: the server's own word on the status.
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
class Ending:
    """`outcome` is `passed`, `no_evidence` or `error`; `phase` says where it failed, and is empty where it did not."""

    outcome: Outcome
    phase: str
    reason: str


def script_started(console: Sequence[str]) -> bool:
    """Has the agent handed over to the script?"""
    return any(_STARTED in line for line in console)


def ending(launch: RemoteRun, seen: Seen) -> Ending | None:
    """What the launch came to, or None while it has to be waited for."""
    if seen.status in ("completed", "published", "closed"):
        return Ending(Outcome.PASSED, "", "it ran to the end without an error")
    if seen.status == "failed":
        return _failed(seen)
    if seen.status in ("stopped", "created"):
        return Ending(Outcome.ERROR, phase(seen), f"its task was aborted{_why(seen)}")
    if launch.until == PROBE and seen.progress:
        return Ending(Outcome.PASSED, "", f"it reported its first progress {seen.running:.0f} s after its start")
    return _late(launch, seen)


def _late(launch: RemoteRun, seen: Seen) -> Ending | None:
    if seen.status == "queued":
        text = f"no agent took the task from the queue '{launch.queue}' within {launch.queue_limit:g} s"
        return Ending(Outcome.ERROR, "queue", text) if seen.queued > launch.queue_limit else None
    if not seen.started:
        text = f"its script had not started {launch.setup_limit:g} s after an agent took it"
        return Ending(Outcome.NO_EVIDENCE, phase(seen), text) if seen.setup > launch.setup_limit else None
    if seen.running <= launch.progress_limit:
        return None
    waited_for = "reported no progress" if launch.until == PROBE else "had not ended"
    return Ending(Outcome.NO_EVIDENCE, "progress", f"its script {waited_for} within {launch.progress_limit:g} s")


def _failed(seen: Seen) -> Ending:
    where = phase(seen)
    if where == "clone":
        return Ending(Outcome.ERROR, where, "the agent could not fetch this commit")
    texts = {
        "environment": "the agent could not set up its environment",
        "import": "its script could not import what it needs",
        "script": "its script failed",
    }
    cause = _cause(seen.console) or mask(seen.why)
    return Ending(Outcome.NO_EVIDENCE, where, texts[where] + (f": {cause}" if cause else ""))


def phase(seen: Seen) -> str:
    """Where a task that did not get on was: queue, clone, environment, import, script."""
    if seen.status == "queued":
        return "queue"
    if seen.started or script_started(seen.console):
        return "import" if any(_NOT_IMPORTED.search(line) for line in _since_start(seen.console)) else "script"
    for line in reversed(seen.console):
        if _NOT_INSTALLED.search(line):
            return "environment"
        if _NOT_CLONED.search(line):
            return "clone"
    cloned = any(line.startswith(("commit: ", "root: ")) for line in seen.console)
    return "environment" if cloned else "clone"


def _cause(console: Sequence[str]) -> str:
    """The console's own word on what went wrong."""
    lines = [line.strip() for line in _since_start(console)]
    found = (line for mark in _CAUSES for line in lines if mark.search(line))
    return mask(_CHECKOUT.sub("", next(found, "")))[:300]  # masked before it is cut: half a secret has no end to match


def _since_start(console: Sequence[str]) -> Sequence[str]:
    """What the script itself printed, or everything where it never started."""
    starts = [number for number, line in enumerate(console) if _STARTED in line]
    return console[starts[-1] :] if starts else console


def _why(seen: Seen) -> str:
    return f" ({mask(seen.why)})" if seen.why else ""


def tail(console: Sequence[str]) -> list[str]:
    """The last lines of a console as a verdict may carry them: secrets masked, without colours and progress bars."""
    lines = (line.rsplit("\r", 1)[-1] for line in _since_start(console))
    plain = [mask(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip())[:400] for line in lines]
    return [line for line in plain if line.strip()][-TAIL:]


def not_launched(outcome: LaunchState, *, phase: str, reason: str) -> LaunchDocument:
    """The result of a launch that was not made; `phase` is where it was refused."""
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
    launch: RemoteRun, ending: Ending, seen: Seen, *, task: TaskDocument, notes: Sequence[str]
) -> LaunchDocument:
    """The result of a launch that ended like this."""
    return {
        "outcome": ending.outcome,
        "phase": ending.phase,
        "reason": ending.reason,
        "log_tail": [] if ending.outcome == Outcome.PASSED else tail(seen.console),
        "task": task,
        "until": launch.until,
        "seconds": {
            "queued": round(seen.queued, 1),
            "setup": round(seen.setup, 1),
            "running": round(seen.running, 1),
        },
        "notes": list(notes),
    }
