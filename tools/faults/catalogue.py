"""Scenarios, the phases of their work, the kinds of harm, and which of them go together."""

from __future__ import annotations

from dataclasses import dataclass

JOB, CONTROLLERS, STEPS, CODE = "job", "controllers", "steps", "code"
CLEARML, FILES, GITHUB = "clearml", "files", "github"
START = "pipelines.start_pipeline"
COMMENTS = ("POST issues/N/comments", "PATCH issues/comments/N")


@dataclass(frozen=True)
class Phase:
    """Requests of one actor that belong together: from the `first` to the `most`th of these operations.

    They are counted from the first request `after` an operation. `needs`: a trait that the scenario must have.
    """

    actor: str
    service: str
    operations: tuple[str, ...]
    most: int = 1
    first: int = 1
    after: str = ""
    needs: str = ""


_REGISTRATION = ("projects.create", "tasks.create", "tasks.edit", "tasks.edit_hyper_params", "projects.update")
_QUESTIONS = ("GET user", "GET compare/X", "GET commits/SHA/pulls")

PHASES = {
    "job reads the policy": Phase(JOB, GITHUB, ("GET branches/main", "GET contents/X"), 2, needs="job"),
    "job signs in": Phase(JOB, CLEARML, ("debug.ping", "auth.login"), 2, needs="job"),
    "job looks for queues": Phase(JOB, CLEARML, ("queues.get_all", "workers.get_all"), 2, needs="settings"),
    "job registers the pipeline": Phase(JOB, CLEARML, _REGISTRATION, 8, needs="registers"),
    "job reads the pull request": Phase(JOB, GITHUB, ("GET compare/X", "GET commits/SHA/pulls"), needs="reads"),
    "job sets pending": Phase(JOB, GITHUB, ("POST statuses/SHA",), needs="job status"),
    "job starts the run": Phase(JOB, CLEARML, (START,), needs="job"),
    "job marks the run": Phase(JOB, CLEARML, ("tasks.edit", "tasks.get_all_ex"), 3, after=START, needs="job"),
    "job opens the check run": Phase(JOB, GITHUB, ("POST check-runs",), needs="check run"),
    "job waits": Phase(JOB, CLEARML, ("tasks.get_all_ex", "tasks.get_all"), 9, 5, after=START, needs="waits"),
    "job posts the comment": Phase(JOB, GITHUB, COMMENTS, needs="job posts"),
    "job sets the final status": Phase(JOB, GITHUB, ("POST statuses/SHA",), 2, 2, needs="job posts"),
    "job closes the check run": Phase(JOB, GITHUB, ("PATCH check-runs/N",), needs="check run"),
    "controller signs in": Phase(CONTROLLERS, CLEARML, ("debug.ping", "auth.login"), 3),
    "controller begins": Phase(CONTROLLERS, CLEARML, ("tasks.get_by_id", "tasks.started", "tasks.edit"), 20),
    "controller creates a step": Phase(CONTROLLERS, CLEARML, ("tasks.create",), 2),
    "controller enqueues a step": Phase(CONTROLLERS, CLEARML, ("tasks.enqueue",), 2),
    "controller waits": Phase(CONTROLLERS, CLEARML, ("tasks.get_all",), 6, after="tasks.enqueue"),
    "step signs in": Phase(STEPS, CLEARML, ("debug.ping", "auth.login"), 4),
    "step reads its run": Phase(STEPS, CLEARML, ("tasks.get_all_ex", "tasks.get_all"), 8),
    "step asks GitHub": Phase(STEPS, GITHUB, _QUESTIONS, 2, needs="asks"),
    "step stores its result": Phase(STEPS, CLEARML, ("tasks.edit",), 2),
    "report stores the verdict": Phase(STEPS, FILES, ("upload",)),
    "report names the verdict": Phase(STEPS, CLEARML, ("tasks.add_or_update_artifacts", "tasks.edit_hyper_params"), 2),
    "report reads the comments": Phase(STEPS, GITHUB, ("GET pulls/N", "GET issues/N/comments"), 3, needs="comment"),
    "report comments": Phase(STEPS, GITHUB, COMMENTS, needs="comment"),
    "report edits its comment": Phase(STEPS, GITHUB, ("PATCH issues/comments/N",), needs="second comment"),
    "report sets the status": Phase(STEPS, GITHUB, ("POST statuses/SHA",), needs="step status"),
    "step launches the code": Phase(STEPS, CLEARML, ("tasks.create",), needs="launch"),
    "step enqueues the code": Phase(STEPS, CLEARML, ("tasks.enqueue",), needs="launch"),
    "step follows the code": Phase(
        STEPS, CLEARML, ("tasks.get_all", "events.get_task_log"), 6, after="tasks.enqueue", needs="launch"
    ),
    "step ends the code": Phase(STEPS, CLEARML, ("tasks.stop", "tasks.archive"), after="tasks.enqueue", needs="probe"),
    "code reports": Phase(CODE, CLEARML, ("events.add_batch",), 2, needs="launch"),
    "promotion is recorded": Phase(STEPS, CLEARML, ("tasks.edit_configuration",), 3, needs="move"),
    "the tag moves": Phase(STEPS, CLEARML, ("tasks.update_tags",), 5, needs="move"),
    "audit looks around": Phase(STEPS, CLEARML, ("projects.get_all", "queues.get_all_ex"), 2, needs="audit"),
    "audit reads its issue": Phase(STEPS, GITHUB, ("GET issues",), needs="audit"),
    "audit writes its issue": Phase(STEPS, GITHUB, ("POST issues", "PATCH issues/N"), needs="findings"),
}


@dataclass(frozen=True)
class Scenario:
    """A story with a known end. `traits` name its phases; `outcome` is that of an unharmed job.

    `green`: a success as the commit's status is true.
    """

    traits: frozenset[str]
    outcome: str
    green: bool = True


_JOB = {"job", "settings", "registers", "job status", "check run", "waits"}
_CHECK = _JOB | {"check", "reads", "asks", "comment", "step status"}
_SILENT_STEPS = _JOB | {"check", "reads", "job posts"}
_DETACHED = _CHECK - {"check run", "waits"}
_AFTER_MERGE = _JOB | {"comment", "step status"}
_LAUNCH = (_CHECK - {"reads", "asks"}) | {"launch"}
_RERUN = {"asks", "comment", "second comment", "step status"}
_AUDIT = {"job", "settings", "registers", "waits", "audit"}


def _with(traits: set[str], outcome: str, *, green: bool = True) -> Scenario:
    return Scenario(frozenset(traits), outcome, green)


SCENARIOS = {
    "better": _with(_CHECK, "improved"),
    "worse": _with(_CHECK, "regressed", green=False),
    "untested": _with(_CHECK, "no_evidence", green=False),
    "better, job posts": _with(_SILENT_STEPS, "improved"),
    "worse, job posts": _with(_SILENT_STEPS, "regressed", green=False),
    "better, detached": _with(_DETACHED, ""),
    "worse, detached": _with(_DETACHED, "", green=False),
    "checked again, worse": _with(_CHECK - {"registers"} | {"second comment"}, "regressed", green=False),
    "probe": _with(_LAUNCH | {"probe"}, "passed"),
    "probe fails": _with(_LAUNCH, "no_evidence", green=False),
    "training, worse": _with(_LAUNCH, "regressed", green=False),
    "promote": _with(_AFTER_MERGE | {"move"}, "passed"),
    "promote, not better": _with(_AFTER_MERGE, "passed"),
    "on pass": _with(_CHECK | {"move"}, "improved"),
    "rollback": _with({"job", "waits", "comment", "move"}, "passed"),
    "audit": _with(_AUDIT, "passed"),
    "audit with findings": _with(_AUDIT | {"findings"}, "regressed"),
    "rerun, worse": _with(_RERUN | {"job", "waits"}, "regressed", green=False),
    "New run, worse": _with(_RERUN, "", green=False),
    "five pull requests": _with(_CHECK | {"several"}, "improved"),
}


@dataclass(frozen=True)
class Kind:
    """A way to harm, in phases `on` these services and of these `actors` (none: of all), by these `operations`.

    `needs`: a trait that the scenario must have. `seconds`: how long it lasts. `times`: the most requests in a row.
    `passes`: a repetition of the request succeeds. `refuses`: none ever does; if it is `wide`, of no operation of its
    actor.
    """

    on: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    needs: str = ""
    seconds: float = 0
    times: int = 1
    passes: bool = False
    refuses: bool = False
    wide: bool = False


WRITES = ("POST statuses/SHA", "POST check-runs", "PATCH check-runs/N", "POST issues", "PATCH issues/N", *COMMENTS)

KINDS = {
    "none": Kind(passes=True),
    "502 once": Kind(passes=True),
    "500 once": Kind((CLEARML, GITHUB), passes=True),
    "503 burst": Kind(times=4, passes=True),
    "502 after the work": Kind(passes=True),
    "answer lost": Kind(passes=True),
    "answer cut": Kind(passes=True),
    "reset after the work": Kind(passes=True),
    "reset before the work": Kind(passes=True),
    "slow answer": Kind(seconds=17, passes=True),
    "late answer": Kind(seconds=4, times=3, passes=True),
    "no answer": Kind(seconds=17, passes=True),
    "page instead of JSON": Kind(passes=True),
    "401 once": Kind((CLEARML,), passes=True),
    "401 and no new token": Kind((CLEARML,)),
    "server restarts": Kind(seconds=4, passes=True),
    "server is away": Kind(seconds=30, passes=True),
    "file server is down": Kind((FILES,)),
    "primary limit": Kind((GITHUB,), seconds=4, passes=True),
    "primary limit of an hour": Kind((GITHUB,), seconds=3600, refuses=True, wide=True),
    "secondary limit": Kind((GITHUB,), seconds=2, passes=True),
    "secondary limit of minutes": Kind((GITHUB,), seconds=24, refuses=True, wide=True),
    "429": Kind((GITHUB,), seconds=2, passes=True),
    "401": Kind((GITHUB,), refuses=True, wide=True),
    "404": Kind((GITHUB,), refuses=True),
    "422": Kind((GITHUB,), operations=WRITES, refuses=True),
    "403 from then on": Kind((GITHUB,), operations=WRITES, refuses=True),
    "comment is deleted": Kind((GITHUB,), (STEPS,), ("PATCH issues/comments/N",), needs="second comment"),
    "kill -9 the job": Kind(actors=(JOB, STEPS), needs="job"),
    "SIGTERM to the job": Kind(actors=(JOB, STEPS), needs="job"),
    "kill -9 the controllers' agent": Kind(actors=(CONTROLLERS, STEPS)),
    "SIGTERM to the controllers' agent": Kind(actors=(CONTROLLERS, STEPS)),
    "kill -9 the controller": Kind(actors=(CONTROLLERS, STEPS)),
    "kill -9 the steps' agent": Kind(actors=(STEPS,)),
    "SIGTERM to the steps' agent": Kind(actors=(STEPS,)),
    "kill -9 a step": Kind(actors=(STEPS,)),
    "kill -9 the code's agent": Kind(actors=(CODE,)),
    "SIGTERM to the code's agent": Kind(actors=(CODE,)),
    "run is aborted": Kind(actors=(CONTROLLERS, STEPS)),
    "second job": Kind(actors=(JOB, STEPS), needs="check"),
    "push": Kind(actors=(JOB, STEPS), needs="check"),
}


def phases(kind: str) -> list[str]:
    """The phases in which a kind of harm can befall a request, of a scenario that exists."""
    return [name for name, phase in PHASES.items() if _fits(KINDS[kind], phase) and scenarios(kind, name)]


def scenarios(kind: str, phase: str) -> list[str]:
    """The scenarios that have a phase and what the kind needs."""
    needed = {KINDS[kind].needs, PHASES[phase].needs} - {""}
    return [name for name, scenario in SCENARIOS.items() if needed <= scenario.traits]


def _fits(kind: Kind, phase: Phase) -> bool:
    return (
        phase.service in (kind.on or (phase.service,))
        and phase.actor in (kind.actors or (phase.actor,))
        and not (kind.operations and not set(kind.operations) & set(phase.operations))
    )
