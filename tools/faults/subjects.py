"""The jobs and steps that are interrupted at each of their requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.faults import jobs, scenarios
from tools.faults import stage as stages
from tools.faults.jobs import Order
from tools.faults.scenarios import BETTER, WORSE
from tools.faults.stage import Stage

BEFORE, AFTER = "before", "after"
TWICE = "twice"  # nothing is killed, and a job is run again
THE_JOB = "job"
_FIND, _PROMOTE = ("find_task", "compare", "report"), ("promote", "report")
_LOOKS = ("audit_baselines", "audit_leftovers", "audit_stale_checks")
_AUDIT = (*_LOOKS, "audit_report")


@dataclass(frozen=True)
class Subject:
    """A job, or a step of the run that the last of these orders starts. `plan` are the steps of each run.

    An order that names what an earlier one has made is a function, which is called when the earlier ones are done.

    `training`: what the agent of launched code plays, as a scenario is called; empty if nothing is launched.
    `launches`: the most tasks that one run launches.
    """

    step: str
    orders: Callable[[Stage], Sequence[Order | Callable[[], Order]]]
    plan: tuple[str, ...]
    training: str = ""
    launches: int = 1


@dataclass(frozen=True)
class Cut:
    """The request at which a subject is killed; `number` 0: none."""

    subject: str
    number: int = 0
    when: str = BEFORE

    @property
    def title(self) -> str:
        moment = f"killed {self.when} request {self.number}" if self.number else "clean"
        moment = TWICE if self.when == TWICE else moment
        return f"{self.subject} | {moment}"


def _check(value: float | None, **settings: str | None) -> Callable[[Stage], list[Order]]:
    return lambda stage: [scenarios.check(stage, stages.propose(stage, "change", value=value), settings)]


def _merge(stage: Stage) -> list[Order]:
    return [scenarios.merged(stage, "change", BETTER)[0]]


def _rollback(stage: Stage) -> list[Order]:
    first, second = (scenarios.merged(stage, name, value)[0] for name, value in (("a", BETTER), ("b", BETTER + 0.02)))
    return [first, second, Order("rollback", {}, "workflow_dispatch", ("rollback",))]


def _audit(stage: Stage, **settings: str | None) -> list[Order]:
    stage.client.call("queues.create", name=scenarios.IDLE_QUEUE)
    return [scenarios.audit_order(CLEARML_CI_AUDIT_QUEUES=scenarios.IDLE_QUEUE, **settings)]


def _audit_of_stale(stage: Stage) -> list[Order]:
    """A commit's status is pending without a run, and an audit looks for it."""
    head = stages.propose(stage, "change", value=WORSE).head.sha
    stage.repository.get_commit(head).create_status("pending", context="ClearML CI", description="runs in ClearML")
    return _audit(stage)


def _audit_probing(stage: Stage) -> list[Order]:
    return _audit(stage, **{name: value for name, value in scenarios.PROBE.items() if name not in jobs.METRIC})


def _audit_training(stage: Stage) -> list[Order]:
    return _audit(stage, CLEARML_CI_AUDIT_RETRAIN="1", CLEARML_CI_REMOTE_RUN="off", EXECUTION_ENTRYPOINT="train.py")


def _audit_bisecting(stage: Stage) -> list[Order]:
    """The last commit of main made its model worse: that commit and the one before are trained once each."""
    stages.train(stage, stage.main, (BETTER - 0.002, BETTER, BETTER + 0.002))
    stages.train(stage, stages.push(stage, "a worse model", value=None), (WORSE - 0.002, WORSE, WORSE + 0.002))
    own = {"CLEARML_CI_RUN_NAME": stages.TASK, "EXECUTION_ENTRYPOINT": "train.py"}
    return _audit(stage, CLEARML_CI_AUDIT_BISECT="1", CLEARML_CI_REMOTE_RUN="off", **own)


def _rerun(stage: Stage) -> list[Order | Callable[[], Order]]:
    """Of a bad model's check, from a shell, with an edit that does not make it good."""

    def rerun() -> Order:
        command = ("rerun", stage.jobs[-1].outputs["pipeline_id"], "threshold_percent=5")
        return Order("rerun", {}, "", command, settings=scenarios.SHELL)

    return [*_check(WORSE)(stage), rerun]


def _schedule(stage: Stage) -> list[Order]:
    stage.client.call("workers.register", worker="manual:services", queues=[_services(stage)], timeout=600)
    return [Order("schedule", {}, "", ("schedule", "daily", "22:30"))]


def _services(stage: Stage) -> str:
    return str(stage.client.call("queues.create", name="services")["id"])


def _register(_: Stage) -> list[Order]:
    return [Order("register", {}, "", ("register",))]


_ON_PASS = _check(BETTER, CLEARML_CI_PROMOTE="on-pass")
SUBJECTS = {
    "find_task": Subject("find_task", _check(BETTER), _FIND),
    "compare": Subject("compare", _check(WORSE), _FIND),
    "report": Subject("report", _check(WORSE), _FIND),
    "remote_run": Subject("remote_run", _check(None, **scenarios.PROBE), ("remote_run", "report"), "probe"),
    "promote": Subject("promote", _merge, _PROMOTE),
    "promote, on pass": Subject("promote", _ON_PASS, ("find_task", "compare", "promote", "report")),
    "promote, rollback": Subject("promote", _rollback, _PROMOTE),
    "report of a merge": Subject("report", _merge, _PROMOTE),
    "audit_baselines": Subject("audit_baselines", _audit, _AUDIT),
    "audit_leftovers": Subject("audit_leftovers", _audit, _AUDIT),
    "audit_stale_checks": Subject("audit_stale_checks", _audit_of_stale, _AUDIT),
    "audit_probe": Subject("audit_probe", _audit_probing, (*_LOOKS, "audit_probe", "audit_report"), "probe"),
    "audit_retrain": Subject("audit_retrain", _audit_training, (*_LOOKS, "audit_retrain", "audit_report"), "training"),
    "audit_bisect": Subject(
        "audit_bisect", _audit_bisecting, (*_LOOKS, "audit_bisect", "audit_report"), "bisection", launches=2
    ),
    "audit_report": Subject("audit_report", _audit, _AUDIT),
    "job of a check": Subject(THE_JOB, _check(WORSE), _FIND),
    "job of a merge": Subject(THE_JOB, _merge, _PROMOTE),
    "job of a rollback": Subject(THE_JOB, _rollback, _PROMOTE),
    "job of an audit": Subject(THE_JOB, _audit, _AUDIT),
    "job of a rerun": Subject(THE_JOB, _rerun, _FIND),
    "schedule": Subject(THE_JOB, _schedule, ()),
    "register": Subject(THE_JOB, _register, ()),
}
