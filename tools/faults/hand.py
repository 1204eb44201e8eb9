"""The hand that does what no proxy can: it kills processes, deletes a comment, aborts a run, pushes, starts jobs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import psutil

from tools.faults import stage as stages
from tools.faults.catalogue import CODE, CONTROLLERS, STEPS
from tools.faults.stage import Stage

COMES_BACK_AFTER = 3.0  # seconds


@dataclass
class Hand:
    """`second_job` and `push` are what the scenario does then. `did` are sentences of what happened, with its time."""

    stage: Stage
    comes_back: bool
    second_job: Callable[[], None] = lambda: None
    push: Callable[[], None] = lambda: None
    did: list[str] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    def act(self, kind: str) -> None:
        """Harm in this way."""
        self.note(kind)
        _ACTS[kind](self)

    def note(self, text: str) -> None:
        self.did.append(f"{self.stage.proxy.now():.1f} s: {text}")

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Call `act` after some seconds, in a thread of its own."""

        def run() -> None:
            time.sleep(seconds)
            act()

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def settle(self, seconds: float) -> None:
        """Returns when all that was begun is done."""
        deadline = time.monotonic() + seconds
        for thread in list(self._threads):
            thread.join(max(0.0, deadline - time.monotonic()))

    def signal_job(self, number: signal.Signals) -> None:
        job = self.stage.jobs[self.stage.prepared_jobs]
        job.signalled = number.name
        job.program.send(number)

    def end_agent(self, role: str, number: signal.Signals) -> None:
        """KILL takes all its processes, as when a machine is lost; TERM goes to the agent, which ends its task."""
        program = self.stage.agents[role]
        program.kill() if number is signal.SIGKILL else program.send(number)
        self.stage.lost_agents.add(role)
        if self.comes_back:
            self.later(COMES_BACK_AFTER, lambda: self.start_agent(role))

    def start_agent(self, role: str) -> None:
        if not self.stage.directory.exists():  # the case has ended meanwhile
            return
        self.note(f"the agent of {role} is started again")
        stages.start_agent(self.stage, role)
        self.stage.lost_agents.discard(role)

    def kill_task(self, role: str) -> None:
        """KILL to the process that runs the task of an agent; the agent itself goes on."""
        for process in self.stage.agents[role].family()[:-1]:
            with suppress(psutil.NoSuchProcess):
                if not process.children():
                    process.kill()

    def kill_controller(self) -> None:
        """KILL to the controller alone: its steps are processes of it, or have an agent of their own."""
        if not self.stage.steps_here:
            self.kill_task(CONTROLLERS)
            return
        for process in self.stage.agents[CONTROLLERS].family()[:-1]:
            with suppress(psutil.NoSuchProcess):
                if process.children():
                    process.kill()

    def delete_comments(self) -> None:
        for pull in self.stage.repository.get_pulls(state="all"):
            for comment in pull.get_issue_comments():
                comment.delete()

    def abort_run(self) -> None:
        """The call that ClearML's web UI sends for Abort."""
        for run in stages.runs(self.stage, live=True):
            self.stage.client.call("tasks.stop", task=run["id"], force=False, include_pipeline_steps=True)


_ACTS: dict[str, Callable[[Hand], None]] = {
    "kill -9 the job": lambda hand: hand.signal_job(signal.SIGKILL),
    "SIGTERM to the job": lambda hand: hand.signal_job(signal.SIGTERM),
    "kill -9 the controllers' agent": lambda hand: hand.end_agent(CONTROLLERS, signal.SIGKILL),
    "SIGTERM to the controllers' agent": lambda hand: hand.end_agent(CONTROLLERS, signal.SIGTERM),
    "kill -9 the steps' agent": lambda hand: hand.end_agent(STEPS, signal.SIGKILL),
    "SIGTERM to the steps' agent": lambda hand: hand.end_agent(STEPS, signal.SIGTERM),
    "kill -9 the code's agent": lambda hand: hand.end_agent(CODE, signal.SIGKILL),
    "SIGTERM to the code's agent": lambda hand: hand.end_agent(CODE, signal.SIGTERM),
    "kill -9 the controller": Hand.kill_controller,
    "kill -9 a step": lambda hand: hand.kill_task(CONTROLLERS if hand.stage.steps_here else STEPS),
    "run is aborted": Hand.abort_run,
    "comment is deleted": Hand.delete_comments,
    "second job": lambda hand: hand.later(0.0, hand.second_job),
    "push": lambda hand: hand.later(0.0, hand.push),
}
ACTS = frozenset(_ACTS)
