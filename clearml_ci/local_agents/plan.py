"""The agents that one command starts: how many of which role, for which queues, in which folders, as which user."""

import os
import pwd
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from clearml_ci.core.errors import UsageError
from clearml_ci.parameters import job_environment


class Role(Enum):
    """An agent's work. Trusted agents run the code of ClearML CI alone."""

    CONTROLLERS = "controllers"
    STEPS = "steps"
    CODE = "code"

    @property
    def is_trusted(self) -> bool:
        """True if no pull-request code runs there."""
        return self is not Role.CODE


QUEUE_VARIABLES = ("CLEARML_CI_CONTROLLER_QUEUE", "CLEARML_CI_STEPS_QUEUE", "CLEARML_CI_CODE_QUEUE")

QUEUES = {Role.CONTROLLERS: "_controller_queue", Role.STEPS: "_steps_queue", Role.CODE: "run_queue"}


@dataclass(frozen=True)
class Account:
    """A user of this machine, as which agents of pull-request code run."""

    name: str
    uid: int
    gid: int
    home: Path


@dataclass(frozen=True)
class Agent:
    """One clearml-agent: the worker's name on the server, and its folder. Without an `account` its user is ours.

    The folder is ours in any case. What its tasks can change lies below `files`: nothing there is to be trusted.
    """

    role: Role
    worker: str
    queue: str
    directory: Path
    account: Account | None = None
    image: str = ""

    @property
    def files(self) -> Path:
        """The folder of the agent's user: clones, packages, environments, and the home folder."""
        return self.directory / "files"

    @property
    def home(self) -> Path:
        """The home folder, with the temporary folder in it."""
        return self.files / "home"

    @property
    def temporary(self) -> Path:
        """The temporary folder: clearml-agent leaves copies of its configuration there (3.0.3)."""
        return self.home / "tmp"

    @property
    def clones(self) -> Path:
        """The agent's clones, one folder for each repository, and in it the clone."""
        return self.files / "clones"

    @property
    def configuration(self) -> Path:
        """The agent's own clearml.conf."""
        return self.directory / "clearml.conf"

    @property
    def log(self) -> Path:
        """The file with the lines that the agent prints as it starts and ends."""
        return self.directory / "agent.log"


@dataclass(frozen=True)
class Plan:
    """The agents of one command. `poll_seconds`: how often an agent looks at its queue, and at what it executes."""

    folder: Path
    agents: tuple[Agent, ...]
    poll_seconds: float
    code_configuration: Path | None = None
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def of(self, role: Role) -> list[Agent]:
        """The agents of a role."""
        return [agent for agent in self.agents if agent.role is role]

    @property
    def reporting(self) -> list[Agent]:
        """The agents that run steps, which report to GitHub."""
        return self.of(role_of_steps(self.environ))

    @property
    def account(self) -> Account | None:
        """The user of the agents of pull-request code, if it is another one."""
        return next((agent.account for agent in self.agents if agent.account), None)

    @property
    def image(self) -> str:
        """The image of the containers that pull-request code runs in, if any."""
        return next((agent.image for agent in self.agents if agent.image), "")


@dataclass(frozen=True)
class Request:
    """The command line: numbers of agents, and how those of pull-request code are kept apart."""

    controllers: int
    steps: int
    code: int
    folder: str
    poll_seconds: float
    code_user: str = ""
    docker: str = ""
    code_configuration: str = ""


def of_request(request: Request, environ: Mapping[str, str]) -> Plan:
    """The plan of a command line. Raises UsageError."""
    _refuse_useless(request)
    folder = resolved(request.folder)
    account = _account(request.code_user) if request.code_user else None
    numbers = {Role.CONTROLLERS: request.controllers, Role.STEPS: request.steps, Role.CODE: request.code}
    queues = queue_names(environ)
    if request.steps and not queues[Role.STEPS]:
        raise UsageError(
            "--steps needs a queue for steps alone: set CLEARML_CI_STEPS_QUEUE to its name, or leave out --steps, and "
            "steps run with their controllers"
        )
    agents = [
        Agent(
            role,
            f"{socket.gethostname()}:{queues[role]}:{index}",
            queues[role],
            folder / f"{role.value}-{index}",
            account=None if role.is_trusted else account,
            image="" if role.is_trusted else request.docker,
        )
        for role, number in numbers.items()
        for index in range(1, number + 1)
    ]
    configuration = Path(request.code_configuration).expanduser().resolve() if request.code_configuration else None
    return Plan(folder, tuple(agents), request.poll_seconds, configuration, environ)


def queue_names(environ: Mapping[str, str]) -> dict[Role, str]:
    """The queue of each role, as the inputs of the same names give them. Raises UsageError if two roles share one.

    That of steps is empty if they run with their controllers.
    """
    given = job_environment.read(environ)
    names = {role: str(given.value(name)) for role, name in QUEUES.items()}
    if names[Role.CODE] in (names[Role.CONTROLLERS], names[Role.STEPS]):
        raise UsageError(
            f"the queue '{names[Role.CODE]}' is for pull-request code and for trusted work: set CLEARML_CI_CODE_QUEUE "
            "to another name"
        )
    if names[Role.CONTROLLERS] == names[Role.STEPS]:
        raise UsageError(
            f"controllers and steps share the queue '{names[Role.STEPS]}', so waiting controllers can hold all its "
            "agents: leave CLEARML_CI_STEPS_QUEUE empty, and steps run with their controllers"
        )
    return names


def role_of_steps(environ: Mapping[str, str]) -> Role:
    """The role whose agents run steps, and hold the credentials for GitHub: steps may have a queue of their own."""
    queue = job_environment.read(environ).value(QUEUES[Role.STEPS])
    return Role.STEPS if queue else Role.CONTROLLERS


def resolved(folder: str) -> Path:
    """The folder of the agents, absolute. Raises UsageError for one that clearml-agent refuses."""
    path = Path(folder).expanduser().absolute()
    if re.search(r"\s", str(path)):
        raise UsageError(f"clearml-agent refuses folders with spaces: {path}; name another one with --folder")
    return path


def _refuse_useless(request: Request) -> None:
    if min(request.controllers, request.steps, request.code) < 0:
        raise UsageError("a number of agents is negative: give 0 or more")
    if not request.controllers + request.steps + request.code:
        raise UsageError("no agent is left to start: give --controllers, --steps or --code a number above 0")
    if not 0 < request.poll_seconds <= 60:
        raise UsageError(f"--poll {request.poll_seconds:g}: give seconds above 0, at most 60")
    apart = {"--code-user": request.code_user, "--docker": request.docker, "--code-conf": request.code_configuration}
    if not request.code and (options := [name for name, value in apart.items() if value]):
        raise UsageError(f"{options[0]} is for agents of pull-request code: add --code, or leave it out")
    if request.code_user and request.docker:
        raise UsageError("--code-user and --docker exclude each other: docker runs as root for its user; keep one")


def _account(name: str) -> Account:
    try:
        found = pwd.getpwnam(name)
    except KeyError as error:
        raise UsageError(
            f"no user '{name}' on this machine: create it with: sudo useradd --system --create-home {name}"
        ) from error
    if found.pw_uid == os.getuid():
        raise UsageError(f"--code-user {name} is the user that runs this command: name another one")
    if os.getuid() != 0:
        raise UsageError(f"only root can start an agent as '{name}': run this command with sudo, or use --docker IMAGE")
    if found.pw_uid == 0:
        raise UsageError("--code-user root can read everything: name a user without rights")
    return Account(name, found.pw_uid, found.pw_gid, Path(found.pw_dir))
