"""Files with which systemd or compose start the agents: units, a compose file, and their variables."""

import getpass
import io
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

import clearml_ci
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials
from clearml_ci.local_agents import checks, environment_file, settings
from clearml_ci.local_agents.plan import QUEUE_VARIABLES, Plan, Request, Role, role_of_steps

_IN_CONTAINER = "/var/lib/clearml-ci"  # of the Dockerfile

_UNIT = """\
# Written by `ci_trigger.py agents --systemd`. The variables, keys among them, stand in {environment}.
[Unit]
Description=ClearML CI: agents of {work}
Wants=network-online.target
After=network-online.target

[Service]
Type=exec
User={user}
EnvironmentFile={environment}
ExecStart={command}
StateDirectory={name}
StateDirectoryMode=0700
UMask=0077
PrivateTmp=yes
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectKernelTunables=yes
ProtectControlGroups=yes
KillMode=mixed
TimeoutStopSec=60
Restart=on-failure
RestartSec=30

[Install]
WantedBy=multi-user.target
"""


Sections = Mapping[Role, Mapping[str, Any]]


def write_units(request: Request, made: Plan, directory: Path, sections: Sections, program: Path) -> list[str]:
    """Write the units and their variables into a folder; return lines on what to do with them. Raises UsageError.

    Pull-request code has a unit of its own, with a user of its own.
    """
    if request.docker:
        raise UsageError("--systemd has no containers: give --code-user NAME in place of --docker")
    if request.code and not request.code_user:
        raise UsageError(
            "--systemd with --code needs --code-user NAME: the unit of pull-request code has a user of its own; create "
            "it with: sudo useradd --system --create-home ci-code"
        )
    _make(directory)
    units = []
    if request.controllers + request.steps:
        options = ["--controllers", str(request.controllers), "--steps", str(request.steps)]
        role = Role.STEPS if request.steps else Role.CONTROLLERS
        work = " and ".join(["controllers"] * bool(request.controllers) + ["steps"] * bool(request.steps))
        units.append(_Unit("clearml-ci-agents", work, getpass.getuser(), role, options))
    if request.code:
        options = ["--controllers", "0", "--steps", "0", "--code", str(request.code)]
        options += ["--code-conf", str(made.code_configuration)] if made.code_configuration else []
        units.append(_Unit("clearml-ci-code", "pull-request code", request.code_user, Role.CODE, options))
    for unit in units:
        _write_unit(unit, directory, [sys.executable, str(program), "agents"], request.poll_seconds)
        environment_file.write(directory / f"{unit.name}.env", variables(unit.role, sections[unit.role], made.environ))
    paths = " ".join(shlex.quote(str(directory / f"{unit.name}.service")) for unit in units)
    lines = [f"written: {paths}, each with its variables beside it"]
    if units[0].user == "root":
        lines.append(f"{units[0].work} would run as root: run this command as the user who shall run them")
    return [*lines, f"start them with: sudo systemctl enable --now {paths}"]


@dataclass(frozen=True)
class _Unit:
    """A unit: its name, what its agents execute, their user and role, and the options that start them."""

    name: str
    work: str
    user: str
    role: Role
    options: Sequence[str]


def _write_unit(unit: _Unit, directory: Path, program: Sequence[str], poll_seconds: float) -> None:
    command = [*program, *unit.options, "--poll", f"{poll_seconds:g}", "--folder", f"/var/lib/{unit.name}"]
    text = _UNIT.format(
        name=unit.name,
        work=unit.work,
        user=unit.user,
        environment=str(directory / f"{unit.name}.env").replace("%", "%%"),
        command=_unit_command(command),
    )
    _write(directory / f"{unit.name}.service", text)


def write_compose(request: Request, made: Plan, directory: Path, sections: Sections, root: Path) -> list[str]:
    """Write compose.yaml and the variables of its services; return lines on what to do with them. Raises UsageError.

    `root` is the clone with the Dockerfile, which the image is built from.
    """
    if request.docker or request.code_user:
        raise UsageError("--compose has a container for pull-request code: leave out --docker and --code-user")
    _make(directory)
    numbers = {Role.CONTROLLERS: request.controllers, Role.STEPS: request.steps, Role.CODE: request.code}
    services = {role.value: _service(role, number, request, root) for role, number in numbers.items() if number}
    for role, number in numbers.items():
        if number:
            own = variables(role, sections[role], made.environ)
            environment_file.write(directory / f"{role.value}.env", _for_image(role, own, made.environ))
    document = {"name": "clearml-ci", "services": services, "volumes": {name: {} for name in services}}
    text = io.StringIO()
    YAML().dump(document, text)
    _write(directory / "compose.yaml", f"# Written by `ci_trigger.py agents --compose`.\n{text.getvalue()}")
    file = shlex.quote(str(directory / "compose.yaml"))
    return [
        f"written: {file}, with the variables of each service beside it",
        f"start them with: docker compose -f {file} up --build --detach",
    ]


def variables(role: Role, sections: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a unit or a service: ClearML's addresses and keys, names of queues, and GitHub's for steps."""
    api, agent = sections["api"], sections["agent"]
    github = settings.environment(role, sections, environ) if role is role_of_steps(environ) else {}
    return {
        "CLEARML_API_HOST": api["api_server"],
        "CLEARML_WEB_HOST": api["web_server"],
        "CLEARML_FILES_HOST": api["files_server"],
        "CLEARML_API_ACCESS_KEY": api["credentials"]["access_key"],
        "CLEARML_API_SECRET_KEY": api["credentials"]["secret_key"],
        **{name: environ[name] for name in QUEUE_VARIABLES if environ.get(name, "").strip()},
        **{f"CLEARML_AGENT_{name.upper()}": str(agent.get(name) or "") for name in ("git_user", "git_pass")},
        **{name: value for name, value in github.items() if name in settings.OF_GITHUB},
    }


def _for_image(role: Role, own: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of a container, which has neither this clone nor the file of a key."""
    repository = checks.address(role, environ) if role.is_trusted else ""
    path = own.get(credentials.KEY_FILE)
    given = credentials.from_environment(own) if path else None
    key = {credentials.KEY_FILE: "", credentials.KEY: given.app.private_key} if given and given.app else {}
    return {**own, **key, "CLEARML_CI_REPOSITORY": repository}


def _service(role: Role, number: int, request: Request, root: Path) -> dict[str, Any]:
    count = {other: str(number if other is role else 0) for other in Role}
    options = ["--controllers", count[Role.CONTROLLERS], "--steps", count[Role.STEPS], "--code", count[Role.CODE]]
    folder = ["--folder", _IN_CONTAINER]
    return {
        "image": f"clearml-ci-agents:{clearml_ci.__version__}",
        "build": {"context": str(root)},
        "command": ["agents", *options, "--poll", f"{request.poll_seconds:g}", *folder],
        "hostname": f"{socket.gethostname().partition('.')[0]}-{role.value}",  # in the agents' names
        "env_file": [f"{role.value}.env"],
        "volumes": [f"{role.value}:{_IN_CONTAINER}"],
        "tmpfs": ["/tmp"],  # noqa: S108  of the container
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "restart": "on-failure",
        "stop_grace_period": "60s",
        "healthcheck": {
            "test": ["CMD", "python", "/opt/clearml-ci/ci_trigger.py", "agents", "--status", *folder],
            "interval": "300s",
            "timeout": "30s",
            "start_period": "90s",
        },
    }


def _unit_command(words: Sequence[str]) -> str:
    return " ".join(
        f'"{_unit_text(word)}"' if any(sign in word for sign in " '\\;") else _unit_text(word) for word in words
    )


def _unit_text(text: str) -> str:
    """Text as a unit has it (systemd.service(5)): `%` and `$` are special there, as are quotes and backslashes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {directory} cannot be made ({error.strerror}): name another one") from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): name another folder") from error
