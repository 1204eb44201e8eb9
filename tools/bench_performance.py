"""The performance part of `make bench`: checks on real agents, beside the predecessors' actions.

python -m tools.bench_performance [--small]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tabulate import tabulate

from sandbox.runtime import processes
from sandbox.scenarios import job
from sandbox.scenarios.job import Job
from tools import bench_step, local_checks, request_log
from tools.local_checks import TASK, Checks, Setup
from tools.request_log import Request

WAIT = 180  # seconds for a pipeline that no job waits for
PREDECESSORS = ("get-stats", "detect-degradation")  # as tools.predecessors takes them
ENDED = ("completed", "failed", "stopped")
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """The number of checks of each kind, beside the first one of its agents, and the pull requests opened together."""

    own: int
    detached: int
    installed: int
    together: tuple[int, ...]


FULL = Size(own=5, detached=5, installed=3, together=(1, 5, 20))
SMALLEST = Size(own=0, detached=1, installed=0, together=())


@dataclass(frozen=True)
class Measured:
    """One program: its seconds, the requests to ClearML meanwhile, the seconds of a runner, and CPU seconds."""

    what: str
    seconds: float
    requests: int
    runner: float
    cpu: float


@dataclass(frozen=True)
class Together:
    """Pull requests that were opened together: seconds to the last verdict, and how many have none."""

    pull_requests: int
    seconds: float
    lost: int


@dataclass(frozen=True)
class Performance:
    """The rows of both tables, and the figures of build/bench.json."""

    rows: tuple[Measured, ...]
    together: tuple[Together, ...]
    figures: dict[str, float | int | None]


def measure(size: Size, *, find_compare_requests: int, progress: Progress) -> Performance:
    """Play everything on local servers. The first check of each kind of agents is not counted among the others."""
    with TemporaryDirectory() as directory, request_log.recorded() as requests:
        rows, together = _with_fast_agents(Path(directory), size, requests, progress)
        installed = _with_agents_as_installed(Path(directory), size, requests, progress) if size.installed else []
    figures: dict[str, float | int | None] = {
        "own_agents_seconds": _median(rows, "check, fast agents", lambda row: row.seconds),
        "default_agents_seconds": _median(installed, "check, agents as installed", lambda row: row.seconds),
        "default_agents_first_seconds": _median(installed, "first check, agents as installed", lambda row: row.seconds),
        "detached_job_seconds": _median(rows, "job with wait: false", lambda row: row.runner),
        "find_compare_requests": find_compare_requests,
        "cpu_seconds": _median(rows, "check, fast agents", lambda row: row.cpu),
        "predecessors_seconds": round(sum(row.seconds for row in rows if row.what in PREDECESSORS), 2),
    }
    return Performance((*_medians(rows), *_medians(installed)), tuple(together), figures)


def _with_fast_agents(
    directory: Path, size: Size, requests: list[Request], progress: Progress
) -> tuple[list[Measured], list[Together]]:
    with local_checks.running(directory / "fast", Setup(), progress=progress) as checks:
        rows = _checks(checks, requests, size.own, "check, fast agents", "first check, fast agents")
        pull = checks.propose(100)
        for name in PREDECESSORS:
            rows.append(_measured(checks, requests, name, partial(_predecessor, checks, name, pull.head.sha)))
        rows += [_detached(checks, requests, number) for number in range(101, 101 + size.detached)]
    together = []
    for count in size.together:
        setup = Setup(workers=2 if size is FULL else 1)
        with local_checks.running(directory / f"together-{count}", setup, progress=progress) as checks:
            together.append(_opened_together(checks, count))
            progress(f"{count} pull requests: {together[-1]}")
    return rows, together


def _with_agents_as_installed(
    directory: Path, size: Size, requests: list[Request], progress: Progress
) -> list[Measured]:
    with local_checks.running(directory / "installed", Setup(as_installed=True), progress=progress) as checks:
        return _checks(
            checks, requests, size.installed, "check, agents as installed", "first check, agents as installed"
        )


def _checks(checks: Checks, requests: list[Request], count: int, what: str, first: str) -> list[Measured]:
    """The first check, which registers the pipeline and fills the agents' caches, and `count` more."""
    pulls = [checks.propose(number) for number in range(count + 1)]
    return [
        _measured(checks, requests, what if number else first, partial(_check, checks, pull))
        for number, pull in enumerate(pulls)
    ]


def _check(checks: Checks, pull: Any) -> None:
    done = checks.check(pull)
    if done.outputs.get("outcome") not in ("passed", "improved"):
        sys.exit(f"a check ended as {done.outputs.get('outcome')}:\n{done.log}")


def _measured(checks: Checks, requests: list[Request], what: str, act: Callable[[], None]) -> Measured:
    requests.clear()
    cpu, began = checks.cpu_seconds(), time.monotonic()
    act()
    seconds = time.monotonic() - began
    sent = len(requests)
    local_checks.settled()
    return Measured(what, seconds, sent, seconds, checks.cpu_seconds() - cpu)


def _detached(checks: Checks, requests: list[Request], number: int) -> Measured:
    """A job with `wait: false`; its run goes on, and is waited for, but not counted."""
    pull, done = checks.propose(number), list[Job]()
    row = _measured(
        checks,
        requests,
        "job with wait: false",
        lambda: done.append(checks.check(pull, {"CLEARML_CI_WAIT": "false"})),
    )
    _wait_for(checks, done[0].outputs["pipeline_id"])
    return row


def _opened_together(checks: Checks, count: int) -> Together:
    """The pipeline is registered before."""
    _check(checks, checks.propose(1_000))
    pulls = [checks.propose(number) for number in range(count)]
    began = time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        jobs = list(pool.map(lambda each: _late(checks, *each), enumerate(pulls)))
    lost = sum(done.outputs.get("outcome") not in ("passed", "improved") for done in jobs)
    return Together(count, time.monotonic() - began, lost)


def _late(checks: Checks, number: int, pull: Any) -> Job:
    time.sleep(number * local_checks.STAGGER)
    return checks.check(pull)


def _predecessor(checks: Checks, action: str, commit: str) -> None:
    sandbox = checks.tale.sandbox
    settings = {
        "CLEARML_PROJECT": sandbox.project,
        "CLEARML_TASK_NAME": TASK,
        "CLEARML_BEST_TAGNAME": job.BEST_TAG,
        "COMMIT_ID": commit,
    }
    _run(checks, [sys.executable, "-m", "tools.predecessors", action], {**job.METRIC, **settings})


def _run(checks: Checks, command: Sequence[str], settings: Mapping[str, str]) -> str:
    sandbox = checks.tale.sandbox
    environment = processes.clean_environment(
        sandbox.directory / "runner", {**sandbox.clearml.environment(), **settings, "CLEARML_LOG_LEVEL": "ERROR"}
    )
    done = subprocess.run(
        command, cwd=bench_step.ROOT, env=environment, capture_output=True, text=True, check=False, timeout=WAIT
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _wait_for(checks: Checks, run: str) -> None:
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        query = {"id": [run], "only_fields": ["status"], "search_hidden": True}
        [task] = checks.tale.clearml.call("tasks.get_all", **query)["tasks"]
        if task["status"] in ENDED:
            return
        time.sleep(0.3)
    sys.exit(f"the run {run} has not ended within {WAIT} s")


def _median(rows: Sequence[Measured], what: str, figure: Callable[[Measured], float]) -> float | None:
    """The median of a figure over the rows of this name; None without any."""
    found = [figure(row) for row in rows if row.what == what]
    return round(statistics.median(found), 2) if found else None


def _medians(rows: Sequence[Measured]) -> list[Measured]:
    """One row for each name."""
    return [
        Measured(
            what,
            *(
                statistics.median([getattr(row, name) for row in rows if row.what == what])
                for name in ("seconds", "requests", "runner", "cpu")
            ),
        )
        for what in dict.fromkeys(row.what for row in rows)
    ]


def tables(performance: Performance) -> str:
    """Two tables: the costs of each program, and the wait of pull requests that are opened together."""
    rows = [(row.what, row.seconds, int(row.requests), row.runner, row.cpu) for row in performance.rows]
    headers = ("what", "seconds", "requests", "runner's seconds", "CPU seconds")
    together = [(row.pull_requests, row.seconds, row.lost) for row in performance.together]
    return (
        f"\nchecks, on two agents; medians\n{tabulate(rows, headers, tablefmt='github', floatfmt='.1f')}"
        f"\n\npull requests that are opened together\n"
        f"{tabulate(together, ('pull requests', 'seconds', 'lost'), tablefmt='github', floatfmt='.1f')}"
    )


if __name__ == "__main__":
    print(tables(measure(SMALLEST if "--small" in sys.argv else FULL, find_compare_requests=0, progress=print)))
