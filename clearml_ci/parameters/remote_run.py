"""Running a pull request's code on an agent: what is launched, how far, and how long each part of it may take.

Like all of a check it travels as strings in the `Args` of a ClearML run, and is cast and checked wherever it is read.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError, nearest

PROBE, COMPLETION = "first-iteration", "completion"


OFF = ("", "off")


CANDIDATES = ("find", "train", "find-or-train", "none")


TRAINING = ("train", "find-or-train")


DEFAULT_QUEUE = "ci-code"


DEFAULT_LABEL = "run-remote"


SHARED = "pull-request code may read the steps' credentials"


# The Args of a run, and what the settings of a workflow call them; the upper-case names are the predecessors'.
VARIABLES = {
    "run_until": ("CLEARML_CI_REMOTE_RUN",),
    "run_queue": ("CLEARML_CI_CODE_QUEUE", "QUEUE_NAME"),
    "run_project": ("CLEARML_CI_RUN_PROJECT", "CLEARML_PROJECT"),
    "run_name": ("CLEARML_CI_RUN_NAME", "CLEARML_TASK_NAME"),
    "run_script": ("CLEARML_CI_RUN_SCRIPT", "EXECUTION_ENTRYPOINT"),
    "run_module": ("CLEARML_CI_RUN_MODULE",),
    "run_folder": ("CLEARML_CI_RUN_FOLDER", "EXECUTION_FOLDER"),
    "run_requirements": ("CLEARML_CI_RUN_REQUIREMENTS", "EXECUTION_REQUIREMENTS"),
    "run_packages": ("CLEARML_CI_RUN_PACKAGES",),
    "run_args": ("CLEARML_CI_RUN_ARGS", "EXECUTION_ARGS"),
    "run_docker_image": ("CLEARML_CI_RUN_DOCKER_IMAGE",),
    "run_docker_args": ("CLEARML_CI_RUN_DOCKER_ARGS",),
    "run_queue_limit": ("CLEARML_CI_QUEUE_LIMIT",),
    "run_setup_limit": ("CLEARML_CI_SETUP_LIMIT",),
    "run_progress_limit": ("CLEARML_CI_PROGRESS_LIMIT", "EXECUTION_TIMEOUT"),
    "run_inject_task_init": ("CLEARML_CI_INJECT_TASK_INIT",),
    "run_approval_label": ("CLEARML_CI_APPROVAL_LABEL",),
}


_OF_THE_WORKFLOW = ("run_queue", "run_project", "run_name")  # where a policy leaves them open


# The same as the pipelines declare them, with their defaults.
PARAMETERS = {**dict.fromkeys(VARIABLES, ""), "run_until": "off"}


# Any of these alone asks for the predecessor's probe, as its users' workflows do.
_ASKS_FOR_A_PROBE = ("QUEUE_NAME", "EXECUTION_ENTRYPOINT")


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
    """`first-iteration`, `completion` or `off`; a candidate that is trained runs to completion."""
    text = text.strip().lower()
    if text in OFF and candidate in TRAINING:
        if text:
            raise UsageError(f"{name} is 'off', but the candidate is to be trained ('{candidate}'): set one of them")
        return COMPLETION
    if text in OFF:
        return "off"
    if text not in (PROBE, COMPLETION):
        known = (PROBE, COMPLETION, "off")
        raise UsageError(f"{name} is {text!r}{nearest(text, known, what='allowed')}")
    if text == PROBE and candidate in TRAINING:
        raise UsageError(f"{name} is '{PROBE}', but a candidate that is trained ('{candidate}') runs to '{COMPLETION}'")
    return text


def candidate(text: str, *, name: str) -> str:
    """Where the judged task comes from: `find`, `train`, `find-or-train`, or `none`."""
    text = text.strip().lower() or "find"
    if text not in CANDIDATES:
        raise UsageError(f"{name} is {text!r}{nearest(text, CANDIDATES, what='allowed')}")
    return text


def arguments_of(environ: Mapping[str, str]) -> dict[str, str]:
    """What a workflow's environment says, under the names of a run's `Args`; nothing is checked yet."""
    found = {argument: _first(environ, names) for argument, names in VARIABLES.items()}
    found["candidate"] = environ.get("CLEARML_CI_CANDIDATE", "").strip()
    if not found["run_until"] and any(environ.get(name, "").strip() for name in _ASKS_FOR_A_PROBE):
        found["run_until"] = COMPLETION if found["candidate"] in TRAINING else PROBE
        alone = not environ.get("CLEARML_SCALAR_TITLE", "").strip()
        found["candidate"] = found["candidate"] or ("none" if alone else "find")
    return found


def arguments_of_policy(remote_run: Mapping[str, Any] | None, *, candidate: str) -> dict[str, str]:
    """What a policy's `remote_run` says, under the names of a run's `Args`; without one, its candidate alone.

    What the policy runs is its own matter: a workflow's script, arguments and limits are not mixed with it.
    """
    if remote_run is None:
        return {"candidate": candidate}
    how_far = {"until": COMPLETION if candidate in TRAINING else PROBE}
    said = {f"run_{key}": _text(value) for key, value in {**how_far, **remote_run}.items()}
    return {name: "" for name in VARIABLES if name not in _OF_THE_WORKFLOW} | said | {"candidate": candidate}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "\n".join(str(one) for one in value) + "\n" if isinstance(value, list) else str(value)


def variable(argument: str, environ: Mapping[str, str]) -> str:
    """The name under which a person set this argument, for messages."""
    names = VARIABLES.get(argument, (argument,))
    return next((name for name in names if environ.get(name, "").strip()), names[0])


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((text for name in names if (text := environ.get(name, "").strip())), "")


def from_arguments(arguments: Mapping[str, str], *, names: Mapping[str, str] | None = None) -> RemoteRun | None:
    """The launch that a run's `Args` ask for, None where they ask for none.

    Raises UsageError; `names` is what a person calls the arguments, where that is something else.
    """
    given = {name: arguments.get(name, "").strip(" \t") for name in (*VARIABLES, "candidate")}
    called = {name: (names or {}).get(name, name) for name in given}
    source = candidate(given["candidate"], name=called["candidate"])
    how_far = until(given["run_until"], candidate=source, name=called["run_until"])
    if how_far == "off":
        return None
    _refuse_secrets(given, called)
    script, module = _entry(given, called)
    return RemoteRun(
        until=how_far,
        candidate=source,
        queue=given["run_queue"] or DEFAULT_QUEUE,
        project=project(given["run_project"] or "Github CICD", called=called["run_project"]),
        name=_name(given["run_name"] or "cicd_test_task", called["run_name"]),
        script=script,
        module=module,
        folder=_relative(given["run_folder"] or ".", called["run_folder"]),
        requirements=_relative(given["run_requirements"], called["run_requirements"]),
        packages=tuple(re.split(r"[,\s]+", given["run_packages"].strip())) if given["run_packages"].strip() else (),
        args=_args(given["run_args"], called["run_args"]),
        docker_image=given["run_docker_image"],
        docker_args=given["run_docker_args"],
        queue_limit=_seconds(given, called, "run_queue_limit", default=600),
        setup_limit=_seconds(given, called, "run_setup_limit", default=600),
        progress_limit=_seconds(given, called, "run_progress_limit", default=600 if how_far == PROBE else 18_000),
        inject_task_init=_truth(given["run_inject_task_init"], called["run_inject_task_init"]),
        approval_label=given["run_approval_label"] or DEFAULT_LABEL,
    )


def _refuse_secrets(given: Mapping[str, str], called: Mapping[str, str]) -> None:
    """Raises UsageError: ClearML stores and shows the parameters of a run as plain text."""
    for name, text in given.items():
        if redaction.shows_secret(text):
            raise UsageError(
                f"{called[name]} holds a token or a password, and ClearML shows parameters as plain text: put it into "
                "the environment of the agent that runs the code, and revoke it if a run has it already"
            )


def _entry(given: Mapping[str, str], called: Mapping[str, str]) -> tuple[str, str]:
    script, module = given["run_script"], given["run_module"].removeprefix("-m ").strip()
    if script and module:
        raise UsageError(
            f"{called['run_script']} is {script!r} and {called['run_module']} is {module!r}: set one of them"
        )
    if not script and not module:
        script = "main.py"
    return _relative(script, called["run_script"]), module


def _relative(path: str, name: str) -> str:
    """A path in the repository, which must not lead out of it."""
    if path.startswith("/") or ".." in PurePosixPath(path).parts or "\n" in path:
        raise UsageError(f"{name} is {path!r}: expected a path relative to the repository's root, without '..'")
    return path


def project(text: str, *, called: str) -> str:
    """A project's name, of which ClearML makes each project above it as well. Raises UsageError."""
    _name(text.partition("/")[0], called)
    return text


def _name(text: str, name: str) -> str:
    if len(text) < 3:
        raise UsageError(f"{name} is {text!r}: ClearML refuses names of fewer than 3 characters")
    return text


def _args(text: str, name: str) -> tuple[tuple[str, str], ...]:
    """`a=1 b=2`, or one a line, where a value may hold spaces."""
    items = text.splitlines() if "\n" in text else text.split()
    pairs = [item.strip().partition("=") for item in items if item.strip()]
    for key, sign, value in pairs:
        if not sign or not key.strip():
            raise UsageError(f"{name} has {key + sign + value!r}: expected name=value, such as epochs=1")
    return tuple((key.strip().lstrip("-"), value.strip()) for key, _, value in pairs)


def _seconds(given: Mapping[str, str], called: Mapping[str, str], name: str, *, default: float) -> float:
    try:
        seconds = float(given[name]) if given[name] else default
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UsageError(f"{called[name]} is {given[name]!r}: expected a number of seconds, such as {default:g}")
    return seconds


def _truth(text: str, name: str) -> bool:
    if text.lower() not in ("", "true", "false"):
        raise UsageError(f"{name} is {text!r}: expected true or false")
    return text.lower() == "true"


def refuse_shared_queue(arguments: Mapping[str, str], *, code: str) -> None:
    """Pull-request code must not run where the trusted steps keep their credentials, unless told so in words."""
    if code == arguments.get("_steps_queue", "") and arguments.get("_shared_queue", "") != SHARED:
        raise UsageError(
            f"the queue '{code}' is the trusted steps' as well: pull-request code could read their credentials. "
            f"Give it a queue and an agent of its own, or set CLEARML_CI_SHARED_QUEUE to: {SHARED}"
        )


def refuse_out_of_reach(
    launch: RemoteRun, *, project: str, task_name: str, names: Mapping[str, str] | None = None
) -> None:
    """What is trained is judged, so it has to be where the check looks for the best. Raises UsageError.

    `project` and `task_name` are the check's, empty where any will do; `names` are as in from_arguments.
    """
    wanted = {"run_project": (launch.project, "project", project), "run_name": (launch.name, "task_name", task_name)}
    for own, (given, other, asked) in wanted.items() if launch.candidate in TRAINING else ():
        if asked and given != asked:
            called = {name: (names or {}).get(name, name) for name in (own, other)}
            raise UsageError(
                f"{called[own]} is '{given}', but {called[other]} is '{asked}': the best is looked for there, and what "
                "is trained elsewhere could never become it; make them the same"
            )
