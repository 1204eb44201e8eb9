"""The performance part of `make bench`: checks on real agents, beside the predecessors' actions.

python -m tools.bench_performance [--small]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tabulate import tabulate

from sandbox.runtime import processes
from sandbox.scenarios import job
from sandbox.scenarios.job import Job
from tools import agents_command, bench_step, local_checks, request_log
from tools.local_checks import TASK, Checks, Setup
from tools.request_log import Request

WAIT = 300  # seconds for a pipeline that no job waits for
PREDECESSORS = ("get-stats", "detect-degradation")  # as tools.predecessors takes them
ENDED = ("completed", "failed", "stopped")
LOOK = {"only_fields": ["status", "status_reason"], "search_hidden": True}  # at a run; such requests are not counted
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Size:
    """The number of checks of each kind, beside the first one of its agents, and the pull requests opened together.

    `pipelines` of two steps are played on agents of each kind.
    """

    own: int
    detached: int
    installed: int
    pipelines: int
    together: tuple[int, ...]


FULL = Size(own=5, detached=5, installed=3, pipelines=2, together=(1, 5, 20))
SMALLEST = Size(own=0, detached=1, installed=0, pipelines=0, together=())


@dataclass(frozen=True)
class Measured:
    """One program: its seconds, the requests to ClearML meanwhile, CPU seconds, and whether a job waits for it."""

    what: str
    seconds: float
    requests: int
    cpu: float
    is_job: bool = True


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


@dataclass
class Bench:
    """The programs that run on agents of one kind, and the costs of those that have ended."""

    checks: Checks
    requests: list[Request]
    progress: Progress
    rows: list[Measured] = field(default_factory=list)

    def play(self, what: str, act: Callable[[Checks], None], *, is_job: bool = True) -> None:
        """Measure one program from its start to its end; the agents may end their work a little later."""
        self.progress(f"{what} ...")
        self.requests.clear()
        cpu, began = self.checks.cpu_seconds(), time.monotonic()
        act(self.checks)
        seconds = time.monotonic() - began
        sent = sum(not is_look(request) for request in list(self.requests))
        local_checks.settled()
        self.rows.append(Measured(what, seconds, sent, self.checks.cpu_seconds() - cpu, is_job))
        self.progress(f"{what}: {seconds:.1f} s")


def measure(size: Size, *, find_compare_requests: int, progress: Progress) -> Performance:
    """Play everything on local servers. The first check of each kind of agents is not counted among the others."""
    with TemporaryDirectory() as directory, request_log.recorded() as requests:
        rows = _with_fast_agents(Path(directory), size, requests, progress)
        together = [_together(Path(directory), count, progress) for count in size.together]
        installed = _with_agents_as_installed(Path(directory), size, requests, progress) if size.installed else []
    figures: dict[str, float | int | None] = {
        "own_agents_seconds": _median(rows, "check, fast agents", lambda row: row.seconds),
        "default_agents_seconds": _median(installed, "check, agents as installed", lambda row: row.seconds),
        "default_agents_first_seconds": _median(installed, "first check, agents as installed", lambda row: row.seconds),
        "detached_job_seconds": _median(rows, "job with wait: false", lambda row: row.seconds),
        "find_compare_requests": find_compare_requests,
        "cpu_seconds": _median(rows, "check, fast agents", lambda row: row.cpu),
        "predecessors_seconds": round(sum(row.seconds for row in rows if row.what in PREDECESSORS), 2),
    }
    return Performance((*_medians(rows), *_medians(installed)), tuple(together), figures)


def _with_fast_agents(directory: Path, size: Size, requests: list[Request], progress: Progress) -> list[Measured]:
    with local_checks.running(directory / "fast", Setup(), progress=progress) as checks:
        bench = Bench(checks, requests, progress)
        _checks(bench, size.own, "fast agents")
        commit = checks.propose(100).head.sha
        for name in PREDECESSORS:
            bench.play(name, partial(_predecessor, action=name, commit=commit))
        for number in range(101, 101 + size.detached):
            _detached(bench, number)
        _pipelines(bench, size.pipelines, "fast agents")
    return bench.rows


def _with_agents_as_installed(
    directory: Path, size: Size, requests: list[Request], progress: Progress
) -> list[Measured]:
    with local_checks.running(directory / "installed", Setup(as_installed=True), progress=progress) as checks:
        bench = Bench(checks, requests, progress)
        _checks(bench, size.installed, "agents as installed")
        _pipelines(bench, size.pipelines, "agents as installed")
    return bench.rows


def _checks(bench: Bench, count: int, where: str) -> None:
    """The first check, which registers the pipeline and fills the agents' caches, and `count` more."""
    for number in range(count + 1):
        what = f"check, {where}" if number else f"first check, {where}"
        bench.play(what, partial(_check, pull=bench.checks.propose(number)))


def _check(checks: Checks, pull: Any) -> None:
    done = checks.check(pull)
    if not has_verdict(done):
        sys.exit(f"a check ended as {done.outputs.get('outcome')}:\n{done.log}")


def _detached(bench: Bench, number: int) -> None:
    """A job with `wait: false`; its run goes on, and is waited for, but not counted."""
    pull, done = bench.checks.propose(number), list[Job]()
    bench.play("job with wait: false", lambda checks: done.append(checks.check(pull, {"CLEARML_CI_WAIT": "false"})))
    _wait_for(bench.checks, done[0].outputs["pipeline_id"])


def _pipelines(bench: Bench, count: int, where: str) -> None:
    """ClearML's own pipeline, whose steps need an agent of their queue."""
    if count:
        with bench.checks.with_steps_agent() as checks:
            with_steps = replace(bench, checks=checks)  # the rows are the same
            for _ in range(count):
                with_steps.play(f"ClearML pipeline of two steps, {where}", _two_steps, is_job=False)


def _two_steps(checks: Checks) -> None:
    """Start the pipeline by a process that ends then, and wait for its task."""
    sandbox = checks.tale.sandbox
    script = [sys.executable, str(bench_step.ROOT / "tools" / "two_step_pipeline.py")]
    queues = [sandbox.queues.controllers, agents_command.steps_queue(sandbox)]
    printed = _run(checks, [*script, sandbox.project, *queues], {})
    run = next(line.split()[1] for line in printed.splitlines() if line.startswith("pipeline "))  # the SDK prints, too
    if (status := _wait_for(checks, run)) != "completed":
        sys.exit(f"the pipeline of two steps is {status}:\n{_consoles(checks, run)}")


def _consoles(checks: Checks, run: str) -> str:
    """The ends of the consoles of a pipeline's tasks."""
    client = checks.tale.clearml
    steps = client.call("tasks.get_all", parent=run, only_fields=["id"], search_hidden=True)["tasks"]
    events = [client.call("events.get_task_log", task=task, batch_size=20)["events"] for task in (run, *_ids(steps))]
    return "\n".join("\n".join(str(event.get("msg", "")) for event in reversed(each))[-2000:] for each in events)


def _ids(tasks: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(task["id"]) for task in tasks]


def _together(directory: Path, count: int, progress: Progress) -> Together:
    """Open pull requests together; two agents check them, and have registered the pipeline before."""
    with local_checks.running(directory / f"together-{count}", Setup(workers=2), progress=progress) as checks:
        _check(checks, checks.propose(1_000))
        pulls = [checks.propose(number) for number in range(count)]
        progress(f"{count} pull requests ...")
        began = time.monotonic()
        with ThreadPoolExecutor(count) as pool:
            jobs = list(pool.map(lambda each: _late(checks, *each), enumerate(pulls)))
        seconds = time.monotonic() - began
    progress(f"{count} pull requests: {seconds:.1f} s")
    for done in without_verdict(jobs):
        progress(f"lost: {done if isinstance(done, Exception) else done.log}")
    return Together(count, seconds, len(without_verdict(jobs)))


def _late(checks: Checks, number: int, pull: Any) -> Job | Exception:
    """The job of a pull request that is opened a little after the one before; what fails is one that is lost."""
    time.sleep(number * local_checks.STAGGER)
    try:
        return checks.check(pull)
    except Exception as error:
        return error


def without_verdict(jobs: Iterable[Job | Exception]) -> list[Job | Exception]:
    """Those that did not end with the verdict that they should have."""
    return [done for done in jobs if isinstance(done, Exception) or not has_verdict(done)]


def has_verdict(done: Job) -> bool:
    """True if a job ended well: each change is as good as its baseline."""
    return done.exit_code == 0 and done.outputs.get("outcome") in ("passed", "improved")


def is_look(request: Request) -> bool:
    """True for a request by which this benchmark waits for a run."""
    return request.endpoint == "tasks.get_all" and request.body.get("only_fields") == LOOK["only_fields"]


def _predecessor(checks: Checks, *, action: str, commit: str) -> None:
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


def _wait_for(checks: Checks, run: str) -> str:
    """The status that a run ends with."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        [task] = checks.tale.clearml.call("tasks.get_all", id=[run], **LOOK)["tasks"]
        if task["status"] in ENDED:
            return str(task["status"])
        time.sleep(0.3)
    sys.exit(f"the run {run} has not ended within {WAIT} s")


def _median(rows: Sequence[Measured], what: str, figure: Callable[[Measured], float]) -> float | None:
    """The median of a figure over the rows of this name; None without any."""
    found = [figure(row) for row in rows if row.what == what]
    return round(statistics.median(found), 2) if found else None


def _medians(rows: Sequence[Measured]) -> list[Measured]:
    """One row for each name."""
    figures = ("seconds", "requests", "cpu")
    named = {what: [row for row in rows if row.what == what] for what in dict.fromkeys(row.what for row in rows)}
    return [
        replace(same[0], **{name: statistics.median([getattr(row, name) for row in same]) for name in figures})
        for same in named.values()
    ]


def tables(performance: Performance) -> str:
    """Two tables: the costs of each program, and the wait of pull requests that are opened together."""
    rows = [
        (row.what, row.seconds, int(row.requests), f"{row.seconds:.1f}" if row.is_job else "-", row.cpu)
        for row in performance.rows
    ]
    headers = ("what", "seconds", "requests", "runner's seconds", "CPU seconds")
    together = [(row.pull_requests, row.seconds, row.lost) for row in performance.together]
    return (
        f"\nwhat each costs; medians\n{tabulate(rows, headers, tablefmt='github', floatfmt='.1f')}"
        f"\n\npull requests that are opened together, on two agents\n"
        f"{tabulate(together, ('pull requests', 'seconds', 'lost'), tablefmt='github', floatfmt='.1f')}"
    )


if __name__ == "__main__":
    show = partial(print, flush=True)
    show(tables(measure(SMALLEST if "--small" in sys.argv else FULL, find_compare_requests=0, progress=show)))
