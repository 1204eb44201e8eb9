"""`ci_trigger.py agents` before its agents run: checks of the machine, and what each agent is given."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.workers import Worker
from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.local_agents import checks, command, folders, plan, settings, state, supervisor
from clearml_ci.local_agents.daemon import Daemon
from clearml_ci.local_agents.plan import Agent, Plan, Request, Role
from clearml_ci.local_agents.state import Recorded, State
from clearml_ci.local_agents.supervisor import Supervisor, Watched
from sandbox.runtime.clearml_access import Client
from sandbox.servers.github_server import GitHubServer
from tests.clock import fast_clock

ROOT = Path(__file__).parents[2]
TOKEN = "ghp_" + "0" * 32 + "abcd"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    redaction.forget()


@pytest.fixture
def environ(user_environment: dict[str, str], prefix: str) -> dict[str, str]:
    """The variables of a user of this machine, with queues of the test's own."""
    return {
        **user_environment,
        "PATH": os.environ["PATH"],
        "CLEARML_CI_REPOSITORY": ROOT.as_uri(),
        "CLEARML_CI_CONTROLLER_QUEUE": f"{prefix}-controllers",
        "CLEARML_CI_STEPS_QUEUE": f"{prefix}-steps",
        "CLEARML_CI_CODE_QUEUE": f"{prefix}-code",
    }


def request(folder: Path, **options: Any) -> Request:
    return Request(**{"controllers": 1, "steps": 1, "code": 0, "folder": str(folder), "poll_seconds": 1.0, **options})


def refused(environ: Mapping[str, str], asked_for: Request, capsys: pytest.CaptureFixture[str]) -> str:
    """The lines with which a start ends, none of which left anything behind."""
    try:
        code = command.start(asked_for, environ, Clock())
    except (UsageError, ClearMLError) as error:
        lines = str(error)
    else:
        assert code == 2
        lines = capsys.readouterr().out.removesuffix("\n")
    folder = Path(asked_for.folder)
    left = [path.name for path in folder.rglob("*")] if folder.is_dir() else []
    assert not {"clearml.conf", "tmp", "agents.json"} & {*left}
    assert "Traceback" not in lines
    return lines


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_start__no_server__is_one_line_with_its_address(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    address = closed_port()
    monkeypatch.setenv("CLEARML_API_HOST", address)
    line = refused(environ, request(tmp_path / "a"), capsys)
    assert line.endswith(f"no ClearML server answers at {address} (ConnectionError): check CLEARML_API_HOST")


def test_start__wrong_keys__is_one_line_without_them(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLEARML_API_SECRET_KEY", "not-the-secret")
    line = refused(environ, request(tmp_path / "a"), capsys)
    assert "refused the keys: check CLEARML_API_ACCESS_KEY and CLEARML_API_SECRET_KEY" in line
    assert "not-the-secret" not in line


def test_start__no_keys__names_the_ways_to_set_them(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("CLEARML_API_ACCESS_KEY", "CLEARML_API_SECRET_KEY"):
        monkeypatch.delenv(name)
    assert "no ClearML keys are configured: run `clearml-init`, or set" in refused(
        environ, request(tmp_path / "a"), capsys
    )


def test_start__problems_of_the_machine__are_one_line_each_and_no_queue_is_created(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    server: GitHubServer,
    client: Client,
    prefix: str,
) -> None:
    name = f"{socket.gethostname()}:{prefix}-steps:1"
    client.call("workers.register", worker=name, queues=[])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 3 * 10**8))
    given = {**environ, "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": server.api_url}
    given["CLEARML_CI_REPOSITORY"] = str(tmp_path / "nowhere")
    lines = refused(given, request(tmp_path / "a"), capsys).splitlines()
    client.call("workers.unregister", worker=name)
    assert all(line.startswith("error: ClearML CI: ") for line in lines)
    github, disk, taken, git = lines
    assert "GitHub refused the token of GitHub: 401" in github
    assert TOKEN not in github
    assert f"0.3 GB are free in {tmp_path / 'a'}, and these agents need 1 GB: make room" in disk
    assert f"an agent called {name} runs already" in taken
    assert f"git cannot read {tmp_path / 'nowhere'} (" in git
    queues = client.call("queues.get_all", only_fields=["name"])["queues"]
    assert [queue["name"] for queue in queues if queue["name"].startswith(prefix)] == []


def test_start__no_git_and_other_packages__are_one_line_each(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.0" if name == "requests" else version(name))
    monkeypatch.setenv("PATH", str(tmp_path))
    packages, git = refused(environ, request(tmp_path / "a"), capsys).splitlines()
    assert "controllers and steps need requests 2.32.5, and 1.0 is installed: run: " in packages
    assert packages.endswith(f" -m pip install -r {ROOT}/requirements-agents.txt")
    assert git == "error: ClearML CI: there is no git here: install it"


@pytest.mark.parametrize("answers", [False, True], ids=["no command", "no answer"])
def test_start__containers_without_docker__is_one_line(
    environ: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answers: bool,
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "git").symlink_to(shutil.which("git") or "")
    if answers:
        (programs / "docker").write_text("#!/bin/sh\necho 'Cannot connect to the daemon' >&2\nexit 1\n")
        (programs / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}")
    given = {**environ, "PATH": f"{programs}{os.pathsep}/bin"}
    line = refused(given, request(tmp_path / "a", code=1, docker="python:3.12"), capsys)
    assert (
        "docker does not answer (Cannot connect to the daemon)" if answers else "there is no docker command here"
    ) in line
    assert len(line.splitlines()) == 1


def test_start__folder_that_cannot_be_written__is_one_line(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    line = refused(environ, request(tmp_path / "file" / "agents"), capsys)
    assert line.startswith(f"the folder {tmp_path}/file/agents cannot be written (Not a directory): ")


def test_start__second_one__names_the_first(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with folders.locked(tmp_path):
        line = refused(environ, request(tmp_path), capsys)
    assert line == "agents run here already: `agents --status` lists them, and `agents --stop` ends them"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "a number of agents is negative"),
        ({"steps": 1}, "--steps needs a queue for steps alone: set CLEARML_CI_STEPS_QUEUE to its name, or leave out"),
        ({"controllers": 0, "steps": 0}, "no agent is left to start"),
        ({"poll_seconds": 0.0}, "--poll 0: give seconds above 0, at most 60"),
        ({"docker": "python:3.12"}, "--docker is for agents of pull-request code: add --code"),
        ({"code": 1, "docker": "a", "code_user": "root"}, "--code-user and --docker exclude each other"),
        ({"code": 1, "code_user": "nosuchuser"}, "no user 'nosuchuser' on this machine: create it with: sudo useradd"),
        ({"folder": "/srv/a b"}, "clearml-agent refuses folders with spaces: /srv/a b; name another"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_plan__wrong_option__is_refused_with_what_to_do(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan.of_request(replace(request(tmp_path, steps=0), **options), {})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("shared", "advice"),
    [
        ("CLEARML_CI_CODE_QUEUE", "set CLEARML_CI_CODE_QUEUE to another name"),
        ("CLEARML_CI_CONTROLLER_QUEUE", "leave CLEARML_CI_STEPS_QUEUE empty, and steps run with their controllers"),
    ],
)
def test_plan__one_queue_for_two_kinds_of_work__is_refused(tmp_path: Path, shared: str, advice: str) -> None:
    with pytest.raises(UsageError, match=f"'ci-steps'.*: {advice}$"):
        plan.of_request(request(tmp_path), {**STEPS_QUEUE, shared: "ci-steps"})


def test_plan__queue_for_steps_whose_agents_are_elsewhere__has_controllers_alone(tmp_path: Path) -> None:
    found = plan.of_request(request(tmp_path, steps=0), STEPS_QUEUE)
    assert [agent.queue for agent in found.agents] == ["ci-controllers"]
    assert found.reporting == []


STEPS_QUEUE = {"CLEARML_CI_STEPS_QUEUE": "ci-steps"}


def agents(folder: Path, **options: Any) -> Plan:
    """One agent of each role, and a queue for steps alone."""
    return plan.of_request(request(folder, code=1, **options), STEPS_QUEUE)


def worker(name: str, *queues: str) -> dict[str, Worker]:
    return {name: Worker(name, queues, task="", task_id="", running_seconds=0)}


def test_make_for__clone_that_was_interrupted__is_removed_and_the_others_stay(tmp_path: Path) -> None:
    (agent, *_) = agents(tmp_path / "agents").agents
    agent.directory.mkdir(parents=True)
    folders.make_for(agent)
    whole, interrupted = (agent.clones / f"{name}.git.hash" / f"{name}.git" for name in ("whole", "interrupted"))
    for clone in (whole, interrupted):
        (clone / ".git").mkdir(parents=True)
    (interrupted / ".git" / "index.lock").touch()
    elsewhere = tmp_path / "elsewhere" / "project.git"
    (elsewhere / ".git").mkdir(parents=True)
    (elsewhere / ".git" / "index.lock").touch()
    (agent.clones / "linked").symlink_to(elsewhere.parent)
    folders.make_for(agent)
    assert (whole.exists(), interrupted.exists(), elsewhere.exists()) == (True, False, True)


@pytest.mark.parametrize(
    ("options", "queue", "reports"),
    [
        ({"steps": 0}, {}, True),
        ({"steps": 0}, STEPS_QUEUE, False),
        ({"steps": 1}, STEPS_QUEUE, True),
        ({"steps": 0, "controllers": 0, "code": 1}, {}, False),
    ],
    ids=["steps with controllers", "steps elsewhere", "steps", "code"],
)
def test_github__token_of_the_agents_that_run_steps__is_signed_in_with(
    tmp_path: Path, server: GitHubServer, options: dict[str, int], queue: dict[str, str], reports: bool
) -> None:
    given = {**queue, "GITHUB_TOKEN": server.token(), "GITHUB_API_URL": server.api_url}
    made = plan.of_request(request(tmp_path, **options), given)
    login, problems = checks.github(dict.fromkeys(Role, SECTIONS), made)
    assert (bool(login), problems) == (reports, [])


def test_others__queue_that_an_agent_elsewhere_serves__is_named_with_it(tmp_path: Path) -> None:
    [line] = checks.others(agents(tmp_path), {**worker("gpu:0", "ci-steps"), **worker("gpu:1", "default")})
    assert line.startswith("the queue 'ci-steps' is also served by gpu:0, with settings of their own")


def test_shared_with_code__agent_elsewhere_of_both_queues__is_refused(tmp_path: Path) -> None:
    [line] = checks.shared_with_code(agents(tmp_path), worker("gpu:0", "ci-code", "ci-steps"))
    assert line.startswith("the agent gpu:0 serves ci-code and ci-steps: pull-request code could read")


def test_risk__code_beside_credentials__is_named_unless_it_is_kept_apart(tmp_path: Path) -> None:
    line = checks.risk(agents(tmp_path), "octo")
    assert line.startswith("warning: pull-request code runs as the same user as this command, and can read the GitHub")
    assert "--code-user NAME" in line
    assert checks.risk(agents(tmp_path, docker="python:3.12"), "octo") == ""
    assert "warning" not in checks.risk(agents(tmp_path, controllers=0, steps=0), "")


SECTIONS: dict[str, dict[str, Any]] = {
    "api": {"api_server": "http://c:8008", "credentials": {"access_key": "k", "secret_key": "s"}},
    "agent": {"git_user": "u", "git_pass": "p", "venvs_dir": "~/x", "package_manager": {"type": "uv"}},
    "sdk": {"aws": {"s3": {"region": "eu"}}, "development": {"report_use_subprocess": True}},
    "environment": {"GITHUB_TOKEN": "of the file", "HF_TOKEN": "h"},
}


WITHOUT = {"HF_TOKEN": "h"}
WITH = {**WITHOUT, "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": "https://g/api"}


@pytest.mark.parametrize(
    ("role", "queue", "environment"),
    [
        (Role.CONTROLLERS, {}, WITH),
        (Role.CONTROLLERS, STEPS_QUEUE, WITHOUT),
        (Role.STEPS, STEPS_QUEUE, WITH),
        (Role.CODE, {}, {}),
        (Role.CODE, STEPS_QUEUE, {}),
    ],
)
def test_configuration__each_role__has_credentials_of_github_if_it_runs_steps(
    tmp_path: Path, role: Role, queue: dict[str, str], environment: dict[str, str]
) -> None:
    [agent] = agents(tmp_path).of(role)
    sections = settings.without_git(SECTIONS) if role is Role.CODE else SECTIONS
    agent.directory.mkdir()
    settings.write_configuration(agent, sections, {**queue, "GITHUB_TOKEN": TOKEN, "GITHUB_API_URL": "https://g/api"})
    assert agent.configuration.stat().st_mode & 0o777 == 0o600
    found = json.loads(agent.configuration.read_text())
    assert found["environment"] == environment
    assert ("git_pass" in found["agent"]) == (role is not Role.CODE)
    assert found["sdk"]["development"]["report_use_subprocess"] is False
    assert found["sdk"]["aws"] == {"s3": {"region": "eu"}}
    assert found["agent"]["venvs_dir"].startswith(str(agent.files))
    assert found["agent"]["package_manager"] == {"type": "uv"}
    assert found["agent"]["enable_git_ask_pass"] is True


@pytest.mark.parametrize("role", list(Role))
def test_variables__each_role__have_no_secret_and_code_builds_its_environment(tmp_path: Path, role: Role) -> None:
    [agent] = agents(tmp_path).of(role)
    environ = {"PATH": "/bin", "GITHUB_TOKEN": TOKEN, "AWS_SECRET_ACCESS_KEY": "a", "https_proxy": "http://p", "X": "x"}
    found = settings.variables(agent, {**environ, "SSH_AUTH_SOCK": "/s"}, poll_seconds=0.5)
    assert not {TOKEN, "a"} & {*found.values()}
    assert found["https_proxy"] == "http://p"
    assert found["CLEARML_AGENT_QUEUE_POLL_FREQ_SEC"] == "0.5"
    assert ("CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL" in found) == (role is not Role.CODE)
    assert ("SSH_AUTH_SOCK" in found) == (role is not Role.CODE)
    assert "X" not in found


def test_command__containers__take_no_argument_that_opens_the_machine(tmp_path: Path) -> None:
    """The filters are clearml-agent's own: it matches each argument of a task with them."""
    [agent] = agents(tmp_path, docker="python:3.12").of(Role.CODE)
    assert settings.command(agent)[-2:] == ["--docker", "python:3.12"]
    filters = settings.configuration(agent, SECTIONS, {})["agent"]["docker_args_filters"]
    allowed = {each for each in DOCKER_ARGUMENTS if any(re.match(pattern, each) for pattern in filters)}
    assert allowed == {"-e", "--env", "--env=A=b", "--shm-size=1g", "--memory"}


DOCKER_ARGUMENTS = [
    *("-e", "--env", "--env=A=b", "--shm-size=1g", "--memory", "-v", "--volume=/:/host", "--privileged", "--env-file"),
    *("--pid=host", "--network=host", "--ipc=host", "--device", "--mount", "--memory-swap", "-eA", "--cap-add"),
]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read (No such file or directory): name a clearml.conf"),
        ("api { credentials {", "is no clearml.conf"),
        ("sdk { }", "has no api.credentials: write access_key and secret_key into it"),
    ],
    ids=["none", "broken", "no keys"],
)
def test_start__configuration_of_code__is_checked(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, message: str
) -> None:
    path = tmp_path / "code.conf"
    if text is not None:
        path.write_text(text)
    line = refused(environ, request(tmp_path / "a", code=1, code_configuration=str(path)), capsys)
    assert line.startswith(f"{path} {message}")


def test_stop__agent_whose_watching_process_died__ends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / "steps-1"
    directory.mkdir()
    with folders.locked(directory) as lock:
        assert lock
        left = subprocess.Popen(["sleep", "60"], start_new_session=True, pass_fds=[lock.fileno()])
    recorded = Recorded("host:ci-steps:1", "ci-steps", str(directory), left.pid, since=0.0)
    state.write(tmp_path, State(process=1, since=0.0, ready=True, agents=(recorded,)))
    assert command.stop(tmp_path, Clock()) == 0
    left.wait(5)
    assert capsys.readouterr().out == "1 agent left over by a process that died: ended with what they executed\n"


def test_stop__process_of_another_that_has_the_recorded_number__stays(tmp_path: Path) -> None:
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "steps-1").mkdir()
        recorded = Recorded("host:ci-steps:1", "ci-steps", str(tmp_path / "steps-1"), other.pid, since=0.0)
        state.write(tmp_path, State(process=other.pid, since=0.0, ready=True, agents=(recorded,)))
        assert command.stop(tmp_path, Clock()) == 0
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def ended_agent(agent: Agent) -> Daemon:
    agent.directory.mkdir(exist_ok=True)
    agent.log.write_text("started\nNo space left on device\n")
    process = subprocess.Popen(["false"])
    process.wait()
    return Daemon(agent, process, since=0.0)


def test_look__agent_that_dies_again_and_again__waits_longer_each_time(
    clearml: ClearML, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [agent] = agents(tmp_path).of(Role.STEPS)
    clock = replace(fast_clock(), now=lambda: 5.0)
    watched = Watched(agent)
    watching = Supervisor(agents(tmp_path), clearml, clock, since=0.0, process=1, watched=[watched])
    pauses = []
    for _ in range(6):
        watched.daemon = ended_agent(agent)
        supervisor.look(watching)
        pauses.append(watched.pause)
    assert pauses == [2, 5, 10, 30, 60, 60]
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        f"the agent {agent.worker} has ended (exit code 1; No space left on device): it is started again in 2 s, "
        f"and its log is {agent.log}"
    )


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
def test_record__full_disk__is_one_line_and_ends_no_agent(
    clearml: ClearML, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agents.json.new").symlink_to("/dev/full")
    watching = Supervisor(agents(tmp_path), clearml, Clock(), since=0.0, process=1)
    watching.record()
    assert capsys.readouterr().out == (
        f"the disk of {tmp_path} is full: make room; agents that have ended are started then\n"
    )


def test_status__no_agents__is_a_line_and_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.status(tmp_path / "none", Clock()) == 4
    assert capsys.readouterr().out == f"no agents run here ({tmp_path / 'none'})\n"
