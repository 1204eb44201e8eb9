"""Plays one case: prepares its world, harms it while its jobs run, waits until all is quiet, and has it judged."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tools.faults import arming, forks, jobs, oracle, scenarios, snapshot, view
from tools.faults import stage as stages
from tools.faults.catalogue import KINDS, PHASES, WRITES
from tools.faults.hand import Hand
from tools.faults.job import Job
from tools.faults.launcher import Launcher
from tools.faults.oracle import Violation
from tools.faults.plan import REAL, SMALL, Case
from tools.faults.scenarios import Story
from tools.faults.snapshot import Addresses
from tools.faults.stage import Stage
from tools.faults.truth import Evidence, JobEnd, World

FINAL_WITHIN = 60.0  # seconds after the end in which a status has to be final
LONGEST_LIMIT = 120.0  # seconds for which the product waits for GitHub's limits
QUIET = 9.0  # seconds without any request after which nothing will change any more
LONGEST_SILENCE = {SMALL: forks.LONGEST_WAIT + 4, REAL: 70.0}  # before a limited request is sent again
AUDIT_DEADLINE = 300.0  # seconds: a run whose job was killed before it marked it occupies the agent for 180 s
# The next job repairs a move that was interrupted between two tags, and the registration of its pipeline.
BY_THE_NEXT_JOB = frozenset({"not one best", "stray draft"})
# The next audit may repair what these rules find: a job or an agent that was killed cannot.
REPAIRABLE = frozenset(
    {"no final status", "still running", "open check run", "check run differs", "unmarked task", "stray draft"}
)


@dataclass(frozen=True)
class Played:
    """A case that was played. `repaired`: what only the next job or audit put right. `seen`: the end, as users see it.

    `view`: the same in a few words. `needless`: an error, though a repetition of the harmed request would have passed.
    """

    case: Case
    violations: tuple[Violation, ...]
    happened: tuple[str, ...]
    seen: str
    harmed: bool
    repaired: tuple[str, ...]
    requests: int
    seconds: float
    fault: str = ""
    needless: bool = False
    view: str = ""

    def document(self) -> dict[str, Any]:
        return {
            **self.case.document(),
            "title": self.case.title,
            "harmed": self.harmed,
            "happened": list(self.happened),
            "seen": self.seen,
            "view": self.view,
            "violations": [asdict(violation) for violation in self.violations],
            "repaired_by_audit": list(self.repaired),
            "needless_error": self.needless,
            "requests": self.requests,
            "seconds": round(self.seconds, 1),
            "fault_of_the_laboratory": self.fault,
        }


@dataclass
class _Running:
    """The jobs under harm, and what is known of the end."""

    stage: Stage
    case: Case
    story: Story
    hand: Hand
    started: list[Job] = field(default_factory=list)

    def start(self, order: jobs.Order) -> None:
        self.started.append(jobs.start(self.stage, order, deadline=self.case.deadline))


def play(case: Case, directory: Path, launcher: Launcher, *, keep: bool = False) -> Played:
    """Play a case in a directory of its own, which is removed afterwards unless it is to be kept or found something."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    began = time.monotonic()
    with stages.built(directory, launcher) as stage:
        played = _play(stage, case, began)
    if not (keep or played.violations):
        shutil.rmtree(directory, ignore_errors=True)
    return played


def _play(stage: Stage, case: Case, began: float) -> Played:
    story = scenarios.prepare(stage, case)
    running = _Running(stage, case, story, Hand(stage, case.comes_back))
    _run_under_harm(running)
    _await_quiet(running, FINAL_WITHIN + min(KINDS[case.kind].seconds, LONGEST_LIMIT))
    evidence = _evidence(running)
    violations = oracle.judge(evidence)
    happened, seen, shown = _happened(running), _seen(running, evidence.world), view.of(evidence)
    repaired: list[Violation] = []
    for rules, repair in ((BY_THE_NEXT_JOB, _run_again), (REPAIRABLE, _audited)):
        open_ = [violation for violation in violations if violation.rule in rules]
        if open_:
            arming.disarm(stage.proxy)
            after = repair(running)
            repaired += [violation for violation in open_ if violation not in after]
    violations = [violation for violation in violations if violation not in repaired]
    harmed = any(request.harm for request in stage.proxy.seen)
    return Played(
        case=case,
        violations=tuple(violations),
        happened=happened,
        seen=seen,
        harmed=harmed or bool(running.hand.did),
        repaired=tuple(f"{violation.rule}: {violation.text}" for violation in repaired),
        requests=len(stage.proxy.seen),
        seconds=time.monotonic() - began,
        needless=KINDS[case.kind].passes and any(job.exit_code == 4 for job in evidence.jobs),
        view=shown,
    )


def _run_under_harm(running: _Running) -> None:
    stage, story, hand = running.stage, running.story, running.hand
    if story.second_job and story.push:
        second_job, push = story.second_job, story.push
        hand.second_job = lambda: running.start(second_job())
        hand.push = lambda: running.start(push())
    arming.arm(running.case, stage.proxy, hand)
    for order in story.orders:
        running.start(order)
    story.begin()
    for job in list(running.started):
        job.done.wait()
    hand.settle(2 * FINAL_WITHIN)
    for job in list(running.started):
        job.done.wait()


def _await_quiet(running: _Running, seconds: float) -> None:
    """Returns when all is final, when nothing happens any more, or after these seconds."""
    deadline = time.monotonic() + seconds
    quiet = LONGEST_SILENCE[running.case.agents] if "limit" in running.case.kind else QUIET
    while time.monotonic() < deadline:
        if _is_final(running) or running.stage.proxy.idle_seconds() > quiet:
            return
        time.sleep(0.3)


def _is_final(running: _Running) -> bool:
    servers = addresses(running.stage)
    if any(_is_ours(task) for task in snapshot.live_tasks(servers)):
        return False
    newest = [snapshot.statuses(servers, commit)[:1] for commit in running.story.truth.commits]
    return all(found and found[0]["state"] in oracle.FINAL for found in newest)


def _is_ours(task: dict[str, Any]) -> bool:
    return bool((task.get("runtime") or {}).get("clearml_ci_task") == task["id"]) or task["type"] == "controller"


def _audited(running: _Running) -> list[Violation]:
    """The agents are back, the next audit runs, and all is judged again."""
    _start_lost_agents(running)
    running.story.truth.runs["audit"] = running.story.truth.runs.get("audit", 0) + 1
    jobs.start(running.stage, scenarios.audit_order(), deadline=AUDIT_DEADLINE).done.wait()
    _await_quiet(running, 15.0)
    return oracle.judge(_evidence(running))


def _run_again(running: _Running) -> list[Violation]:
    """The agents are back, a user runs the last job again, and all is judged again."""
    _start_lost_agents(running)
    truth = running.story.truth
    truth.runs = {pipeline: most + 1 for pipeline, most in truth.runs.items()}
    running.start(running.story.orders[-1])
    running.started[-1].done.wait()
    _await_quiet(running, 15.0)
    return oracle.judge(_evidence(running))


def _start_lost_agents(running: _Running) -> None:
    for role in sorted(running.stage.lost_agents):
        running.hand.start_agent(role)


def _evidence(running: _Running) -> Evidence:
    stage, truth = running.stage, running.story.truth
    world = snapshot.read(addresses(stage), truth.commits)
    ends = tuple(_end(job) for job in running.started)
    return Evidence(world, ends, truth, stage.secrets, running.case.kind == "none", _refused(running.case))


def _refused(case: Case) -> frozenset[str]:
    """The operations that GitHub refuses to this case for good."""
    kind = KINDS[case.kind]
    return frozenset(WRITES if kind.wide else PHASES[case.phase].operations if kind.refuses else ())


def _end(job: Job) -> JobEnd:
    return JobEnd(
        name=job.name,
        commit=job.commit,
        pull=job.pull,
        waits=job.waits,
        exit_code=job.program.exit_code,
        signalled=job.signalled,
        hung=job.hung,
        seconds=job.seconds,
        deadline=job.deadline,
        log=job.log,
        summary=job.summary,
        outputs=job.outputs,
        statuses=tuple(job.statuses),
    )


def addresses(stage: Stage) -> Addresses:
    """The servers themselves, seen by one who may see everything."""
    keys = (stage.clearml.access_key, stage.clearml.secret_key)
    api, files = stage.clearml.api_url, stage.clearml.files_url
    return Addresses(api, files, keys, stage.github.api_url, stage.github.owner_token, stage.repository.full_name)


def _happened(running: _Running) -> tuple[str, ...]:
    harmed = [request for request in running.stage.proxy.seen if request.harm]
    requests = [f"{seen.at:.1f} s: {seen.operation} ({seen.actor}): {seen.harm}" for seen in harmed]
    shown = requests if len(requests) <= 6 else [*requests[:5], f"and {len(requests) - 5} more requests"]
    return (*running.hand.did, *shown)


def _seen(running: _Running, world: World) -> str:
    """The user's view: how the jobs ended, the statuses, and the comments."""
    ends = [
        f"{job.name}: exit {job.program.exit_code}{_reason(job)} after {job.seconds:.0f} s" for job in running.started
    ]
    states = []
    for commit in running.story.truth.commits:
        found = world.commits[commit]["statuses"][:1]
        states += [f"status {status['state']} ({status['description']})" for status in found] or ["no status"]
    comments = [f"{len(pull['comments'])} comment(s) on #{pull['number']}" for pull in world.pulls]
    return "; ".join([*ends, *states, *comments])


def _reason(job: Job) -> str:
    reason = job.outputs.get("exit_reason", "")
    return f" ({job.outputs.get('outcome', '')}: {reason[:140]})" if reason else ""
