"""The commands of the Makefile, each at its smallest size, in a clone of this checkout's commit."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox import demo
from sandbox.runtime import agents, state
from sandbox.runtime.clearml_access import Client
from sandbox.scenarios import catalogue
from tests.agents import makefile
from tests.agents.makefile import Make
from tools import bench_noise


def test_bench__at_its_smallest_size__prints_and_writes_the_figures(make: Make, clone: Path) -> None:
    printed = make("make bench SMALL=1")
    figures = json.loads((clone / "build" / "bench.json").read_text())
    assert [*figures] == ["requests", "seconds", "audit", "noise", "drift", "performance"]
    assert figures["performance"]["find_compare_requests"] <= 8
    assert {name for name, figure in figures["performance"].items() if figure is None} == {
        "own_agents_seconds",
        "default_agents_seconds",
        "default_agents_first_seconds",
        "cpu_seconds",
    }
    assert {row["rule"] for row in figures["noise"]} == {*bench_noise.PLAIN, *bench_noise.OURS}
    ((tasks, requests),), ((same_tasks, seconds),) = figures["requests"].items(), figures["seconds"].items()
    (audit,) = figures["audit"]
    assert (tasks, same_tasks, [*audit]) == ("10", "10", ["projects", "tasks", "requests", "seconds"])
    rows = [[int(tasks), requests, seconds], [*audit.values()]]
    for row in rows:
        assert all(number > 0 for number in row)
        assert [str(number) for number in row] in [line.replace("|", " ").split() for line in printed.splitlines()]


def test_profile__one_check__prints_its_phases_one_after_the_other(make: Make) -> None:
    printed = make("make profile CHECKS=1")
    total = re.search(r"^check 1: passed after ([\d.]+) s", printed, re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    assert [*dict.fromkeys(row[0] for row in rows[2:])] == ["job", "controller", "find_task", "compare", "report"]
    seconds = {(whose, phase): float(figure) for whose, phase, figure in rows[2:]}
    assert total is not None
    assert sum(seconds.values()) == pytest.approx(float(total[1]), abs=0.2)
    for step in ("find_task", "compare", "report"):
        assert seconds[step, "until its result is stored"] > 0


def test_demo__one_scenario_on_another_server__stays_up_until_make_stop_deletes_all(
    make: Make, clone: Path, client: Client
) -> None:
    printed = make("make demo SCENARIO=first-model KEEP=1 SERVER=env")
    (played,) = json.loads((clone / "build" / "demo" / "record.json").read_text())
    assert (played["scenario"], played["outcome"]) == ("first-model", "no_baseline")
    assert "as expected" in printed
    sandbox, running = state.read(clone / "build" / "sandbox"), agents.recorded(clone / "build" / "sandbox")
    assert sandbox is not None and sandbox.process.find() is not None and len(running) == 2
    assert projects_of(client, sandbox.prefix)
    assert "the sandbox was stopped" in make("make stop")
    assert not any(process.find() for process in (sandbox.process, *running))
    assert not projects_of(client, sandbox.prefix)


def projects_of(client: Client, prefix: str) -> list[Any]:
    projects: list[Any] = client.call("projects.get_all", name=f"^{prefix}", search_hidden=True)["projects"]
    return projects


@pytest.mark.parametrize(
    ("command", "scenarios"),
    [("make demo", catalogue.SHORT_STORY), ("make demo ALL=1", {**catalogue.EVERY, **catalogue.AUDITS})],
)
def test_demo__without_a_scenario__would_play_those_that_the_end_to_end_tests_play(
    make: Make, command: str, scenarios: dict[str, Any]
) -> None:
    _, _, options = make(f"{command} --dry-run").replace("\\\n", " ").partition("-m sandbox.demo")
    assert demo.chosen(demo.parse(options.split())) == scenarios


@pytest.mark.parametrize("command", ["make test", "make test ALL=1", "make test FAST=1"])
def test_test__dry_run__is_every_linter_and_pytest(make: Make, command: str) -> None:
    """These tests are run by it, so that its own run is not played here."""
    recipe = make(f"{command} --dry-run")
    assert all(program in recipe for program in ("ruff check", "ruff format --check", "mypy", "lint-imports", "pytest"))
    left_out = {str(makefile.ROOT / path) for path in re.findall(r"--ignore (\S+)", recipe)}
    assert left_out == (set(map(str, with_agents())) if "FAST=1" in command else set())


def with_agents() -> list[Path]:
    """The folder of the end-to-end tests, and the other tests that start agents."""
    folder = makefile.ROOT / "tests" / "agents"
    files = [path for name in ("tests", "sandbox/tests") for path in (makefile.ROOT / name).rglob("test_*.py")]
    starting = [path for path in files if "agents.start(" in path.read_text() and folder not in path.parents]
    return [folder, *starting]


def test_lock__requirements_as_they_were__leaves_the_lock_file_as_it_is(clone: Path) -> None:
    """It asks the package index, by the settings of this machine."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MFLAGS")}
    command = ["make", "lock", "-C", str(clone), f"VENV={makefile.VENV}", *makefile.INSTALLED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if "Failed to fetch" in done.stderr:
        pytest.skip("the package index is unreachable")
    assert done.returncode == 0, done.stderr
    assert (clone / "requirements.lock").read_text() == (makefile.ROOT / "requirements.lock").read_text()


def test_clean__after_the_others__leaves_nothing_that_was_built(make: Make, clone: Path) -> None:
    make("make clean")
    status = ["git", "-C", str(clone), "status", "--porcelain", "--ignored"]
    left = subprocess.run(status, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in left if not line.endswith("__pycache__/")] == []
