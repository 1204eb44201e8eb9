"""Commands that the documents name and that need no server, each run as a user runs it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
POLICY = "version: 1\ngates:\n  - metric: accuracy/validation\n    max_regression: 3%\n"


def run(command: str, directory: Path) -> str:
    """The output of a command line that begins with `python`."""
    _, *arguments = command.replace("ci_trigger.py", str(ROOT / "ci_trigger.py")).split()
    done = subprocess.run([sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "command", ["python ci_trigger.py validate", "python ci_trigger.py validate .github/clearml-ci.yml"]
)
def test_validate__policy_in_order__is_summed_up(command: str, tmp_path: Path) -> None:
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "clearml-ci.yml").write_text(POLICY)
    assert "accuracy/validation" in run(command, tmp_path)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("valdate", "no command 'valdate'; did you mean 'validate'?"),
        (
            "x",
            "no command 'x'; commands: agents, audit, backtest, calibrate, history, pr, promote, register, rerun, "
            "rollback, schedule, validate",
        ),
        ("rerun", "the following arguments are required: RUN; see ci_trigger.py rerun --help"),
        (
            "agents --detatch",
            "unrecognized argument: --detatch; did you mean '--detach'?; see ci_trigger.py agents --help",
        ),
        ("rollback --now", "unrecognized argument: --now; see ci_trigger.py rollback --help"),
        ("audit", "GITHUB_REPOSITORY is not set: set it to owner/name of the GitHub repository"),
    ],
)
def test_command__mistyped__is_one_line_with_what_is_known(command: str, message: str, tmp_path: Path) -> None:
    arguments = [sys.executable, str(ROOT / "ci_trigger.py"), *command.split()]
    done = subprocess.run(arguments, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, f"error: ClearML CI: {message}\n", "")


def test_command__in_an_environment_without_packages__exits_2_and_names_what_to_do(tmp_path: Path) -> None:
    bare = tmp_path / "sitecustomize.py"
    bare.write_text("import sys\nsys.modules['requests'] = None\n")
    command = [sys.executable, str(ROOT / "ci_trigger.py"), "--help"]
    done = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert "pip install -r requirements-agents.txt" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["python -m tools.words", "python -m tools.words --list docs"])
def test_words__of_this_project__are_counted(command: str) -> None:
    assert run(command, ROOT).splitlines()[-1].endswith("in all")


def test_reference__of_a_copy_with_a_stale_table__rewrites_that_file_alone(tmp_path: Path) -> None:
    for name in ("clearml_ci", "docs", "tools", ".github"):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ("README.md", "action.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    page = tmp_path / "docs" / "policy.md"
    page.write_text(page.read_text(encoding="utf-8").replace("| `promote` |", "| `promot` |"), encoding="utf-8")
    assert run("python -m tools.reference", tmp_path) == "rewrote docs/policy.md\n"
    assert page.read_text(encoding="utf-8") == (ROOT / "docs" / "policy.md").read_text(encoding="utf-8")


def test_sandbox__stopped_without_one_that_runs__reports_that(tmp_path: Path) -> None:
    assert "no sandbox is running" in run(f"python -m sandbox --stop --directory {tmp_path}", ROOT)
