"""`make profile`: where the seconds of a check go, by task and phase, from the requests that the local servers answer.

    python -m tools.profile_check [--as-installed] [--checks N]

A task waits in its queue until an agent takes it. The agent clones the repository and prepares the environment; the
script imports its modules, works, and stores its result; the task is closed when its agent has seen the script's end.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tabulate import tabulate

from tools import local_checks, request_log
from tools.local_checks import Checks, Setup
from tools.request_log import Request

ENDS = ("tasks.completed", "tasks.failed", "tasks.stopped")
EXECUTES = "worker starting task execution"  # an agent's reason for the last `tasks.started` before the script


@dataclass(frozen=True)
class Phases:
    """The phases of one task in seconds; `after` is from the end of the task before it to its own enqueueing."""

    task: str
    after: float
    queue: float
    setup: float
    imports: float
    script: float
    close: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Play checks, and print the phases of the last one, for which caches and templates are warm."""
    options = _options(arguments)
    with TemporaryDirectory() as directory, request_log.recorded() as requests:
        setup = Setup(as_installed=options.as_installed)
        with local_checks.running(Path(directory) / "sandbox", setup, progress=_print) as checks:
            for number in range(1, options.checks + 1):
                _print(_profile(checks, number, requests))
    return 0


def _profile(checks: Checks, number: int, requests: list[Request]) -> str:
    pull = checks.propose(number)
    requests.clear()
    cpu, began = checks.cpu_seconds(), time.monotonic()
    done = checks.check(pull)
    ended = time.monotonic()
    local_checks.settled()
    run = done.outputs.get("pipeline_id", "")
    rows = phases(requests, run)
    closed = _first(requests, run, lambda request: request.endpoint in ENDS) or ended
    cpu = checks.cpu_seconds() - cpu
    return (
        f"\ncheck {number}: {done.outputs.get('outcome')} after {ended - began:.1f} s, {cpu:.1f} s of CPU, "
        f"{len(requests)} requests; the job was over {ended - closed:.1f} s after its run\n{table(rows)}"
    )


def phases(requests: Sequence[Request], run: str) -> list[Phases]:
    """The phases of a run and of its steps, in the order in which they were enqueued."""
    enqueued = [request for request in requests if request.endpoint in ("tasks.enqueue", "pipelines.start_pipeline")]
    names = {
        request.task: request.body["name"]
        for request in requests
        if request.endpoint == "tasks.edit" and request.body.get("name")
    }
    found, before = [], min((request.at for request in requests), default=0.0)
    for request in enqueued:
        row, end = _phases(
            requests, request, "controller" if request.task == run else names.get(request.task, ""), before
        )
        found.append(row)
        before = request.at if request.task == run else end
    return found


def _phases(requests: Sequence[Request], enqueued: Request, name: str, before: float) -> tuple[Phases, float]:
    """The phases of one task, and the moment of its end."""
    task, at = enqueued.task, enqueued.at
    taken = _first(requests, task, lambda request: request.endpoint == "tasks.started") or at
    executes = _first(requests, task, lambda request: request.body.get("status_reason") == EXECUTES) or taken
    own = _connection(
        [request for request in requests if request.at > executes],
        task,
        is_run=enqueued.endpoint == "pipelines.start_pipeline",
    )
    imported = next(
        (request.at for request in requests if request.at > executes and request.connection == own), executes
    )
    stored = _last(requests, task, imported)
    end = _first(requests, task, lambda request: request.endpoint in ENDS) or stored
    phases = (at - before, taken - at, executes - taken, imported - executes, stored - imported, max(0.0, end - stored))
    return Phases(name, *phases), end


def _connection(requests: Sequence[Request], task: str, *, is_run: bool) -> str:
    """The connection of a task's own process: a step stores its result, and the controller enqueues its steps."""
    for request in requests:
        if request.endpoint == "tasks.enqueue" if is_run else request.task == task and "configuration" in request.body:
            return request.connection
    return ""


def _last(requests: Sequence[Request], task: str, after: float) -> float:
    """The moment at which a step stores its result, or a controller's last change of itself."""
    changes = [
        request.at
        for request in requests
        if request.task == task and request.at >= after and request.endpoint == "tasks.edit"
    ]
    return changes[-1] if changes else after


def _first(requests: Sequence[Request], task: str, condition: Callable[[Request], bool]) -> float | None:
    return next((request.at for request in requests if request.task == task and condition(request)), None)


def table(rows: Sequence[Phases]) -> str:
    """A row for each task, in seconds."""
    headers = ("task", "until enqueued", "queue", "clone and environment", "imports", "script", "close")
    figures = [(row.task, row.after, row.queue, row.setup, row.imports, row.script, row.close) for row in rows]
    return tabulate(figures, headers=headers, tablefmt="github", floatfmt=".2f")


def _print(text: str) -> None:
    print(text, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.profile_check", description=__doc__.splitlines()[0])
    parser.add_argument("--as-installed", action="store_true", help="agents with clearml-agent's own settings")
    parser.add_argument("--checks", type=int, default=2, help="checks in a row (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
