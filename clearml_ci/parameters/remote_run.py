"""The parameters of a remote run: what is launched on an agent, how far it runs, and how long each phase may take.

Like all of a check they travel as texts in the `Args` of a ClearML run; each step reads and checks them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from clearml_ci.core import redaction, secret_parameters
from clearml_ci.core.errors import UsageError
from clearml_ci.parameters import catalogue, run_arguments
from clearml_ci.parameters.job_environment import Given

PROBE, COMPLETION = "first-iteration", "completion"


OFF = ("", "off")


TRAINING = ("train", "find-or-train")


SHARED = "pull-request code may read the steps' credentials"


DEFAULT_SCRIPT = "main.py"


COMPLETION_LIMIT = "18000"  # seconds of progress_limit


_PREFIX = "run_"


_CANDIDATE = catalogue.parameter("candidate")


_PARAMETERS = tuple(parameter for parameter in catalogue.PARAMETERS if parameter.name.startswith(_PREFIX))

_NAMES = (*(parameter.name for parameter in _PARAMETERS), "candidate")


@dataclass(frozen=True)
class RemoteRun:
    """One launch. `script` or `module` is set, never both; limits are in seconds.

    `queue_limit` ends the wait in the queue, `setup_limit` that for the start of the script, `progress_limit` that
    for the first sign of progress, or, with `until` completion, for the end.
    """

    until: str
    candidate: str
    queue: str
    project: str
    name: str
    script: str
    module: str
    folder: str
    requirements: str
    packages: tuple[str, ...]
    args: tuple[tuple[str, str], ...]
    docker_image: str
    docker_args: str
    queue_limit: float
    setup_limit: float
    progress_limit: float
    inject_task_init: bool
    approval_label: str

    @property
    def purpose(self) -> str:
        """`probe`, `training` (its task is evidence of the commit), or `tests`."""
        if self.until == PROBE:
            return "probe"
        return "training" if self.candidate in TRAINING else "tests"

    @property
    def entry(self) -> str:
        """The entry file's path in the repository, empty for a module."""
        return str(PurePosixPath(self.folder, self.script)) if self.script else ""


def until(text: str, *, candidate: str, name: str) -> str:
    """`first-iteration`, `completion` or `off`; a candidate that is trained runs to completion. Raises UsageError."""
    if not text.strip():
        return COMPLETION if candidate in TRAINING else "off"
    chosen = str(catalogue.parameter("run_until").value(text, name))
    if candidate in TRAINING and chosen == "off":
        raise UsageError(f"{name} is 'off', but the candidate is to be trained ('{candidate}'): set one of them")
    if candidate in TRAINING and chosen == PROBE:
        raise UsageError(f"{name} is '{PROBE}', but a candidate that is trained ('{candidate}') runs to '{COMPLETION}'")
    return chosen


def arguments_of(given: Given) -> dict[str, str]:
    """The `Args` that a job's environment gives a launch; nothing is checked yet."""
    arguments = {name: given.texts[name] for name in _NAMES}
    if given.variables.intersection(catalogue.PROBE_VARIABLES) and not arguments["run_until"]:
        arguments["run_until"] = COMPLETION if arguments["candidate"] in TRAINING else PROBE
        arguments["candidate"] = arguments["candidate"] or ("find" if given.texts["scalar_title"] else "none")
    return arguments


def arguments_of_policy(remote_run: Mapping[str, Any] | None, *, candidate: str) -> dict[str, str]:
    """The `Args` that a policy's `remote_run` gives a launch; without one, its candidate alone.

    A policy decides alone what it runs: a workflow's script, arguments and limits are not mixed with it.
    """
    if remote_run is None:
        return {"candidate": candidate}
    closed = {parameter.name: "" for parameter in _PARAMETERS if parameter.key and not parameter.key.open}
    how_far = {"until": COMPLETION if candidate in TRAINING else PROBE}
    given = {f"{_PREFIX}{key}": _text(value) for key, value in {**how_far, **remote_run}.items()}
    return closed | given | {"candidate": candidate}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "\n".join(str(item) for item in value) + "\n" if isinstance(value, list) else str(value)


def from_arguments(arguments: Mapping[str, str], *, names: Mapping[str, str] | None = None) -> RemoteRun | None:
    """The launch that a run's `Args` describe, None if there is none.

    Raises UsageError; `names` are what the user calls the Args, if that differs.
    """
    called = {name: (names or {}).get(name, name) for name in _NAMES}
    candidate = _CANDIDATE.value(arguments.get("candidate", ""), called["candidate"])
    how_far = until(arguments.get("run_until", ""), candidate=candidate, name=called["run_until"])
    if how_far == "off":
        return None
    _refuse_secrets(arguments, called)
    limit = arguments.get("run_progress_limit", "").strip() or (COMPLETION_LIMIT if how_far == COMPLETION else "")
    given = {**arguments, "run_until": how_far, "run_progress_limit": limit}
    read = run_arguments.read(_PARAMETERS, given, names=called)
    values = {field.removeprefix(_PREFIX): value for field, value in read.items()}
    return RemoteRun(**values | _entry(values["script"], values["module"], called), candidate=candidate)


def _refuse_secrets(arguments: Mapping[str, str], called: Mapping[str, str]) -> None:
    """Refuse secrets: ClearML stores and shows the parameters of a run as plain text. Raises UsageError."""
    for name, given in called.items():
        text = arguments.get(name, "")
        if redaction.shows_secret(text) or secret_parameters.are_given(text):
            raise UsageError(
                f"{given} holds a token or a password, and ClearML shows parameters as plain text: put it into "
                "the environment of the agent that runs the code, and revoke it if a run has it already"
            )


def _entry(script: str, module: str, called: Mapping[str, str]) -> dict[str, str]:
    if script and module:
        raise UsageError(
            f"{called['run_script']} is {script!r} and {called['run_module']} is {module!r}: set one of them"
        )
    return {"script": script or ("" if module else DEFAULT_SCRIPT), "module": module}


def refuse_shared_queue(arguments: Mapping[str, str], *, code: str, controllers: str = "") -> None:
    """Raise UsageError if pull-request code would run on a trusted queue without the text that allows it.

    `controllers` is the name of the queue of the run's own controller, if it is known: a rerun may be on another one
    than the job's.
    """
    trusted = {
        controllers: "controllers",
        arguments.get("_controller_queue", ""): "controllers",
        arguments.get("_steps_queue", ""): "trusted steps",
    }
    whose = trusted.get(code)
    if whose and not is_sharing_allowed(arguments):
        raise UsageError(
            f"the queue '{code}' is the {whose}' as well: pull-request code could read their credentials. "
            f"Give it a queue and an agent of its own, or set CLEARML_CI_SHARED_QUEUE to: {SHARED}"
        )


def is_sharing_allowed(arguments: Mapping[str, str]) -> bool:
    """True if these `Args` allow pull-request code on a trusted queue."""
    return arguments.get("_shared_queue", "") == SHARED


def refuse_out_of_reach(
    launch: RemoteRun, *, project: str, task_name: str, names: Mapping[str, str] | None = None
) -> None:
    """Raise UsageError if what is trained, and therefore judged, is not in the place of the baseline.

    `project` and `task_name` are the check's, empty if any will do; `names` are as in from_arguments.
    """
    places = {"run_project": (launch.project, "project", project), "run_name": (launch.name, "task_name", task_name)}
    for own, (given, other, expected) in places.items() if launch.candidate in TRAINING else ():
        if expected and given != expected:
            called = {name: (names or {}).get(name, name) for name in (own, other)}
            raise UsageError(
                f"{called[own]} is '{given}', but {called[other]} is '{expected}': the baseline is looked for there, "
                "and what is trained elsewhere could never become it; make them the same"
            )
