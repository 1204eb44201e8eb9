"""Works as the agents do, one step after another, and kills a job or a step at one of its requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from sandbox.runtime import processes
from tools.faults import jobs, scenarios
from tools.faults import stage as stages
from tools.faults.catalogue import CODE, CONTROLLERS, JOB, STEPS
from tools.faults.job import Job
from tools.faults.jobs import Order
from tools.faults.launcher import Program
from tools.faults.proxy import Exchange, Harm, Request, untouched
from tools.faults.stage import Stage
from tools.faults.subjects import AFTER, THE_JOB, TWICE, Cut, Subject
from tools.faults.truth import Truth

STEP_SECONDS = 90.0
START_SECONDS = 30.0
DEADLINE = 60.0


@dataclass
class ManualAgent:
    """Plays a subject on a stage without agents. `truth`: the commits that must have a final status."""

    stage: Stage
    subject: Subject
    truth: Truth = field(default_factory=Truth)
    _variables: dict[str, str] = field(default_factory=dict)

    def prepare(self) -> None:
        """Register workers, and sign the steps in to GitHub."""
        stage = self.stage
        self.truth.launches = self.subject.launches
        for role in (CONTROLLERS, STEPS):
            queue = stages.queue_id(stage, role)
            stage.client.call("workers.register", worker=f"manual:{role}", queues=[queue], timeout=600)
        own = {"GITHUB_TOKEN": stages.token(stage, "personal", STEPS), "GITHUB_API_URL": stage.api_url}
        self._variables = {**stages.clearml_variables(stage, STEPS), **own}
        if plays := self.subject.training:
            played = {"FAULTS_TRAINING": scenarios.training(plays, good=stage.main)}
            stages.start_agents(stage, {CODE: played}, real=False)

    def play(self, cut: Cut) -> int:
        """Play all orders, the last one interrupted by the cut; the number of requests that its subject sent."""
        *earlier, last = self.subject.orders(self.stage)
        for order in earlier:
            self._start(_made(order))
            self._play_runs(None)
        last = _made(last)
        killer = _Killer(JOB if self.subject.step == THE_JOB else STEPS, cut)
        if self.subject.step == THE_JOB:
            sent = self._interrupted_job(last, killer)
            self._play_runs(None)
        else:
            self._start(last)
            sent = self._play_runs(killer)
            if not sent:
                raise RuntimeError(f"no request of {self.subject.step} was seen: nothing could be interrupted")
        for job in self.stage.jobs:
            job.done.wait(DEADLINE)
        return sent

    def _start(self, order: Order, program: list[Program] | None = None) -> Job:
        """A job that does not wait for its run; one of a rollback or a rerun always does."""
        settings = {**order.settings, "CLEARML_CI_WAIT": "false"}
        job = jobs.start(self.stage, replace(order, settings=settings), deadline=DEADLINE)
        if program is not None:
            program.append(job.program)
        if order.commit and order.commit not in self.truth.commits:
            self.truth.commits.append(order.commit)
            self.truth.green.add(order.commit)
        if not _waits(order):
            job.done.wait()
        elif program is None:
            self._await_start(job)
        return job

    def _interrupted_job(self, order: Order, killer: _Killer) -> int:
        """The number of requests; a job that was killed is run again, as with *Re-run jobs*."""
        before = _sent(self.stage, JOB)
        self.stage.proxy.rule = killer if killer.cut.number else untouched
        job = self._start(order, killer.program)
        if _waits(order):
            self._await_start(job)
        self.stage.proxy.rule = untouched
        sent = _sent(self.stage, JOB) - before
        if killer.acted or killer.cut.when == TWICE:
            job.done.wait(DEADLINE)
            second = self._start(order)
            if _waits(order):
                self._await_start(second)
        return sent

    def _await_start(self, job: Job) -> None:
        """Returns when a run is queued, or the job has ended without one."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and not job.done.is_set() and "ClearML run: " not in job.log:
            time.sleep(0.1)

    def _play_runs(self, killer: _Killer | None) -> int:
        """Play every run in the queue; the number of requests that the interrupted step sent."""
        sent = 0
        for run in self._queued():
            if not self._is_followed(run):
                self.stage.client.call("tasks.stopped", task=run)
                continue
            for step in self.subject.plan:
                if killer and step == self.subject.step:
                    sent = self._interrupted_step(run, step, killer)
                else:
                    self._run(self._task(run, step), step, [])
            self.stage.client.call("tasks.completed", task=run)
        return sent

    def _is_followed(self, run: str) -> bool:
        """False for a run whose job was killed before it learned of it: its controller ends that run."""
        sections = self.stage.client.call("tasks.get_by_id", task=run)["task"]["hyperparams"]
        sent, learned = (sections.get(name, {}) for name in ("Args", "properties"))
        return bool(sent["_start"]["value"] == learned.get("start_key", {}).get("value"))

    def _queued(self) -> Iterator[str]:
        """The runs of the controllers' queue, as an agent takes them."""
        queue = stages.queue_id(self.stage, CONTROLLERS)
        while entry := self.stage.client.call("queues.get_next_task", queue=queue).get("entry"):
            self.stage.client.call("tasks.started", task=entry["task"])
            yield str(entry["task"])

    def _task(self, run: str, step: str) -> str:
        """A step's task, as the controller makes it."""
        client = self.stage.client
        project = client.call("tasks.get_by_id", task=run)["task"]["project"]
        argument = {"Args": {"run": {"section": "Args", "name": "run", "value": run, "type": "str"}}}
        made = {"name": step, "type": "data_processing", "project": project, "parent": run}
        task = str(client.call("tasks.create", **made, hyperparams=argument)["id"])
        mark = {"clearml_ci_task": task, "clearml_ci_run": run, "clearml_ci_purpose": "step"}
        client.call("tasks.edit", task=task, runtime=mark)
        return task

    def _interrupted_step(self, run: str, step: str, killer: _Killer) -> int:
        """The step is killed at its n-th request, and started again on the same task."""
        task = self._task(run, step)
        self.stage.proxy.rule = killer if killer.cut.number else untouched
        sent = self._run(task, step, killer.program)
        self.stage.proxy.rule = untouched
        if killer.acted:
            self._run(task, step, [])
        return sent

    def _run(self, task: str, step: str, started: list[Program]) -> int:
        """The number of requests; the task ends as its agent would have it."""
        client, before = self.stage.client, _sent(self.stage, STEPS)
        client.call("tasks.started", task=task, force=True)
        home = self.stage.directory / "steps"
        environment = processes.clean_environment(home, {**self._variables, "CLEARML_TASK_ID": task})
        log = home / f"{step}-{task}.log"
        script = stages.CHECKOUT / f"steps/{step}.py"
        program = self.stage.launcher.start([str(script)], environment, directory=stages.CHECKOUT, log=log)
        started.append(program)
        if not program.wait(STEP_SECONDS):
            program.kill()
            raise TimeoutError(f"the step {step} does not end: {log.read_text()[-500:]}")
        if program.exit_code == 0:
            client.call("tasks.completed", task=task)
        return _sent(self.stage, STEPS) - before


def _waits(order: Order) -> bool:
    return order.command[:1] in (("rollback",), ("rerun",))


def _made(order: Order | Callable[[], Order]) -> Order:
    return order if isinstance(order, Order) else order()


@dataclass
class _Killer:
    """The rule that kills a program of an actor at its n-th request."""

    actor: str
    cut: Cut
    program: list[Program] = field(default_factory=list)
    acted: bool = False
    _count: int = 0

    def __call__(self, request: Request) -> Harm | None:
        if request.actor != self.actor or self.acted:
            return None
        self._count += 1
        self.acted = self._count >= self.cut.number
        return self._kill if self.acted else None

    def _kill(self, exchange: Exchange) -> str:
        if self.cut.when == AFTER:
            exchange.forward()
        while not self.program:
            time.sleep(0.01)
        self.program[0].kill()
        exchange.reset()
        return f"killed {self.cut.when} it"


def _sent(stage: Stage, actor: str) -> int:
    return sum(request.actor == actor for request in stage.proxy.seen)
