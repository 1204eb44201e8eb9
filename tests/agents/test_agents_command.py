"""`ci_trigger.py agents`: real clearml-agents that one command starts, watches, lists and ends."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clearml_ci.clearml_api import ownership
from sandbox.runtime import github_access, processes
from sandbox.runtime.environment import JOB_PERMISSIONS
from sandbox.scenarios import story
from sandbox.scenarios.job import code_of_agents
from sandbox.scenarios.story import Story

ROOT = Path(__file__).parents[2]
SMALL = "--controllers 1 --code"

Run = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def token(begun: Story) -> str:
    return github_access.token(begun.sandbox.github, "personal", permissions=JOB_PERMISSIONS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine") / "agents"


@pytest.fixture(scope="module")
def run(begun: Story, token: str, folder: Path) -> Run:
    """Run a command line as a user of the machine whose GITHUB_TOKEN is the steps'."""
    sandbox = begun.sandbox
    variables = {
        **sandbox.clearml.environment(),
        "CLEARML_CONFIG_FILE": str(folder.parent / "none.conf"),
        "CLEARML_CI_CONTROLLER_QUEUE": f"{sandbox.queues.controllers}",
        "CLEARML_CI_CODE_QUEUE": sandbox.queues.code,
        "CLEARML_CI_REPOSITORY": code_of_agents()[0],
        "GITHUB_TOKEN": token,
        "GITHUB_API_URL": sandbox.github.api_url,
    }
    environment = processes.clean_environment(folder.parent / "home", variables)

    def run_command(command: str) -> subprocess.CompletedProcess[str]:
        words = command.replace("python ci_trigger.py", str(ROOT / "ci_trigger.py")).split()
        line = [sys.executable, *words, "--folder", str(folder)]
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False, timeout=120)

    return run_command


@pytest.fixture(scope="module")
def started(run: Run) -> Iterator[str]:
    """What the start prints; the agents run until the module's tests have ended."""
    done = run(f"python ci_trigger.py agents --detach {SMALL}")
    try:
        assert done.returncode == 0, done.stdout
        yield done.stdout
    finally:
        run("python ci_trigger.py agents --stop")


def test_agents__started_by_one_command__check_a_pull_request_and_report_it(begun: Story, started: str) -> None:
    queues = begun.sandbox.queues
    assert f"{queues.controllers}: 1 agent\n{queues.code}: 1 agent\n" in started
    assert "warning: pull-request code runs as the same user as this command" in started
    assert re.search(r"^steps report to GitHub as \S+$", started, re.MULTILINE)
    story.ensure_best(begun)
    pull = story.propose(begun, "better", "Four times the hidden units", hidden_units=64)
    checked = story.check(begun, pull, settings={"CLEARML_CI_WAIT": "false"})
    assert checked.verdict["outcome"] == "improved"
    assert (len(checked.comments), checked.status) == (1, "success")


@pytest.mark.usefixtures("started")
def test_agents__while_they_run__are_listed_and_started_only_once(begun: Story, run: Run) -> None:
    listed = run("python ci_trigger.py agents --status")
    assert listed.returncode == 0, listed.stdout
    lines = listed.stdout.splitlines()[1:]
    assert [line.split()[1] for line in lines] == [*vars(begun.sandbox.queues).values()]
    assert all(line.endswith("idle") for line in lines)
    for command in (
        "python ci_trigger.py agents",
        "python ci_trigger.py agents --controllers 0 --code --detach",
    ):
        again = run(command)
        assert again.returncode == 2
        assert again.stdout.startswith("error: ClearML CI: agents run here already since ")
        assert len(again.stdout.splitlines()) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_agents__while_they_run__show_no_secret_to_other_users(
    begun: Story, started: str, token: str, folder: Path
) -> None:
    assert token not in started
    secrets = [token.encode(), begun.sandbox.clearml.secret_key.encode()]
    readable = [
        path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH)
    ]
    assert [path for path in readable if any(secret in path.read_bytes() for secret in secrets)] == []
    assert folder.stat().st_mode & 0o077 == 0
    configured = [path.parent.name for path in folder.glob("*/clearml.conf") if secrets[0] in path.read_bytes()]
    assert configured == ["controllers-1"]
    for process in command_lines(folder):
        assert not any(secret in process.read_bytes() for secret in secrets)
        assert "Umask:\t0077" in process.with_name("status").read_text()


def command_lines(folder: Path) -> list[Path]:
    """/proc/PID/cmdline of each clearml-agent of this folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"clearml_agent" in words and any(str(folder).encode() in word for word in words):
            found.append(path)
    assert found
    return found


def wait(condition: Callable[[], Any], seconds: float = 40) -> Any:
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return result


@pytest.mark.parametrize("command", ["agents --systemd units", "agents --compose compose"])
def test_files__for_systemd_and_compose__are_written_beside_agents_that_run(
    run: Run, folder: Path, command: str
) -> None:
    options, _, kind = command.rpartition(" ")
    done = run(f"python ci_trigger.py {options} {folder.parent / kind}")
    assert done.returncode == 0, done.stdout
    assert "start them with: " in done.stdout
    assert len([*(folder.parent / kind).iterdir()]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.usefixtures("started")
def test_agents__one_killed_then_all_stopped_at_work__start_again_and_abort_their_task(
    begun: Story, run: Run, folder: Path
) -> None:
    [controllers] = [path for path in command_lines(folder) if b"controllers-1" in path.read_bytes()]
    os.kill(int(controllers.parent.name), signal.SIGKILL)
    log = folder / "supervisor.log"
    wait(lambda: "is started again\n" in log.read_text())
    assert "has ended (killed by SIGKILL" in log.read_text()

    task = enqueued(begun)
    step = begun_step(begun, task)
    wait(lambda: status_of(begun, task) == "in_progress")
    wait(lambda: "executes 'waits for long'" in run("python ci_trigger.py agents --status").stdout)
    done = run("python ci_trigger.py agents --stop")
    assert done.returncode == 0
    assert f"executes 'waits for long' (task {task}), which is aborted" in done.stdout
    assert done.stdout.splitlines()[-1] == "2 agents ended"
    assert (status_of(begun, task), status_of(begun, step)) == ("stopped", "stopped")
    assert [path for path in Path("/proc").glob("[0-9]*/environ") if belongs(path, folder)] == []
    ours = {*vars(begun.sandbox.queues).values()}
    workers = begun.clearml.call("workers.get_all", last_seen=600)["workers"]
    assert [worker["id"] for worker in workers if ours & {queue["name"] for queue in worker["queues"]}] == []
    assert [path for path in folder.rglob("*") if path.name in ("clearml.conf", "tmp", "agents.json")] == []

    repeated = run("python ci_trigger.py agents --stop")
    assert (repeated.returncode, repeated.stdout) == (0, f"no agents run here ({folder})\n")
    assert run("python ci_trigger.py agents --status").returncode == 4


def belongs(environ: Path, folder: Path) -> bool:
    """True if a process has its home below this folder."""
    try:
        return f"HOME={folder}".encode() in environ.read_bytes()
    except OSError:
        return False


def enqueued(begun: Story) -> str:
    """A run on the controllers' queue, which waits for a minute."""
    repository, commit, _ = code_of_agents()
    script = {
        "repository": repository,
        "version_num": commit,
        "entry_point": "-c 'import time; time.sleep(60)'",
        "working_dir": ".",
        "binary": sys.executable,
    }
    queues = begun.clearml.call("queues.get_all", name=f"^{begun.sandbox.queues.controllers}$")["queues"]
    task = begun.clearml.call("tasks.create", name="waits for long", type="testing", script=script)["id"]
    mark(begun, task, run=task, purpose="run")
    begun.clearml.call("tasks.enqueue", task=task, queue=queues[0]["id"])
    return str(task)


def begun_step(begun: Story, run: str) -> str:
    """A step of this run that its controller executes."""
    step = str(begun.clearml.call("tasks.create", name="step", type="data_processing", parent=run)["id"])
    mark(begun, step, run=run, purpose="step")
    begun.clearml.call("tasks.started", task=step)
    return step


def mark(begun: Story, task: str, *, run: str, purpose: str) -> None:
    begun.clearml.call("tasks.edit", task=task, runtime=ownership.marks(task, run=run, purpose=purpose))


def status_of(begun: Story, task: str) -> str:
    return str(begun.clearml.call("tasks.get_by_id", task=task)["task"]["status"])
