"""`make profile`: where the seconds of a check go, one after the other, from the requests that the servers answer.

    python -m tools.profile_check [--as-installed] [--checks N]

The job enqueues the run, which waits until an agent takes it. The agent clones the repository and prepares the
environment. The controller starts each step as a process of its own, or on a queue, where a step waits for an agent,
too. A step ends its work as it stores its result. When the controller has ended, its agent closes the run, and the job
ends.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
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
class Phase:
    """The seconds since the end of the phase before it, in which this task, or the job, works or waits."""

    task: str
    what: str
    seconds: float


# The task, the name and the end of a phase; the end is None if no request shows it.
Moment = tuple[str, str, float | None]


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
    rows = phases(requests, done.outputs.get("pipeline_id", ""), began=began, ended=ended)
    cpu = checks.cpu_seconds() - cpu
    return (
        f"\ncheck {number}: {done.outputs.get('outcome')} after {ended - began:.1f} s, {cpu:.1f} s of CPU, "
        f"{len(requests)} requests\n{table(rows)}"
    )


def phases(requests: Sequence[Request], run: str, *, began: float, ended: float) -> list[Phase]:
    """The phases of a check, from the job's start to its end. A phase lasts 0 seconds if no request shows its end."""
    found, before = [], began
    for task, what, at in (*_of_the_run(requests, run), ("job", "until it ends", ended)):
        after = max(before, at or before)
        found.append(Phase(task, what, after - before))
        before = after
    return found


def _of_the_run(requests: Sequence[Request], run: str) -> Iterable[Moment]:
    """The moments from the run's enqueueing to its close."""
    yield "job", "until the run is enqueued", _enqueued(requests, run)
    yield from _taken("controller", requests, run)
    for step, name in _steps(requests, run).items():
        on_queue = _enqueued(requests, step)
        what = f"until {name} is {'enqueued' if on_queue else 'started'}"
        yield "controller", what, on_queue or _started(requests, step)
        if on_queue:
            yield from _taken(name, requests, step)
        yield name, "until its result is stored", _last(requests, step, _is_result)
    closed = _first(requests, run, lambda request: request.endpoint in ENDS)
    changed = _last(requests, run, lambda request: request.endpoint == "tasks.edit" and request.at < (closed or 0))
    yield "controller", "until its last change", changed
    yield "controller", "close", closed


def _steps(requests: Sequence[Request], run: str) -> dict[str, str]:
    """The names of the steps by their tasks, in the order in which they were enqueued or started."""
    names = {
        request.task: str(request.body["name"])
        for request in requests
        if request.endpoint == "tasks.edit" and request.body.get("name") and request.task != run
    }
    began = [request.task for request in requests if request.endpoint in ("tasks.enqueue", "tasks.started")]
    return {task: names[task] for task in began if task in names}


def _taken(name: str, requests: Sequence[Request], task: str) -> Iterable[Moment]:
    """The moments of a task that an agent takes from a queue."""
    yield name, "queue", _started(requests, task)
    yield (
        name,
        "clone and environment",
        _first(requests, task, lambda request: request.body.get("status_reason") == EXECUTES),
    )


def _is_result(request: Request) -> bool:
    return "result" in request.body.get("configuration", {})


def _enqueued(requests: Sequence[Request], task: str) -> float | None:
    return _first(requests, task, lambda request: request.endpoint in ("tasks.enqueue", "pipelines.start_pipeline"))


def _started(requests: Sequence[Request], task: str) -> float | None:
    return _first(requests, task, lambda request: request.endpoint == "tasks.started")


def _first(requests: Iterable[Request], task: str, condition: Callable[[Request], bool]) -> float | None:
    return next((request.at for request in requests if request.task == task and condition(request)), None)


def _last(requests: Sequence[Request], task: str, condition: Callable[[Request], bool]) -> float | None:
    return _first(reversed(requests), task, condition)


def table(rows: Sequence[Phase]) -> str:
    """A row for each phase, in seconds."""
    figures = [(row.task, row.what, row.seconds) for row in rows]
    return tabulate(figures, headers=("task", "phase", "seconds"), tablefmt="github", floatfmt=".2f")


def _print(text: str) -> None:
    print(text, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.profile_check", description=__doc__.splitlines()[0])
    parser.add_argument("--as-installed", action="store_true", help="agents with clearml-agent's own settings")
    parser.add_argument("--checks", type=int, default=2, help="checks in a row (%(default)s)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
