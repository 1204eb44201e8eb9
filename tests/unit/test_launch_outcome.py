"""Outcomes of launches, read from consoles that a real agent printed."""

from dataclasses import replace

import pytest

from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import launch_outcome
from clearml_ci.decisions.launch_outcome import LaunchOutcome, TaskSnapshot
from clearml_ci.parameters import remote_run
from clearml_ci.parameters.remote_run import RemoteRun

CHECKOUT = "/agent/venvs/3.11/task_repository/digits.git"
CLONED = ("cloning: https://github.com/owner/digits.git", "commit: aaaa", f"root: {CHECKOUT}")
INSTALLED = (*CLONED, "Collecting torch", "Environment setup completed successfully", "Starting Task Execution:")
SEEN = TaskSnapshot(
    status="in_progress", progress=False, started=False, queued=1.0, setup=2.0, running=0.0, console=(), why=""
)


def launch(**arguments: str) -> RemoteRun:
    found = remote_run.from_arguments({"run_until": "first-iteration", "run_script": "train.py", **arguments})
    assert found is not None
    return found


def failed(*console: str) -> LaunchOutcome:
    ending = launch_outcome.outcome_of(launch(), replace(SEEN, status="failed", console=console, why="exit code 1"))
    assert ending is not None
    return ending


@pytest.mark.parametrize(
    ("console", "phase", "cause"),
    [
        (
            (
                "cloning: https://x/y",
                "fatal: Could not read from remote repository.",
                "clearml_agent: ERROR: Failed cloning repository.",
            ),
            "clone",
            "",
        ),
        (
            ("Using cached repository in /agent", "fatal: reference is not a tree: bbbb", "Failed cloning repository."),
            "clone",
            "",
        ),
        ((), "clone", ""),
        (
            (
                *CLONED,
                "ERROR: Could not find a version that satisfies the requirement xyz==9.9",
                "clearml_agent: ERROR: Could not install task requirements!",
            ),
            "environment",
            "xyz==9.9",
        ),
        ((*CLONED, "Collecting torch"), "environment", "exit code 1"),
        (
            (
                *INSTALLED,
                "Traceback (most recent call last):",
                '  File "train.py", line 1',
                "ModuleNotFoundError: No module named 'einops'",
            ),
            "import",
            "No module named 'einops'",
        ),
        ((*INSTALLED, "/agent/venvs/3.11/bin/python: No module named pytest"), "import", "No module named pytest"),
        ((*INSTALLED, "E   ModuleNotFoundError: No module named 'einops'"), "import", "einops"),
        (
            (*INSTALLED, f"python: can't open file '{CHECKOUT}/nope.py': [Errno 2] No such file or directory"),
            "script",
            "can't open file 'nope.py'",
        ),
        (
            (*INSTALLED, f"[Errno 2] No such file or directory: '{CHECKOUT}/nope'", "Process failed, exit code 255"),
            "script",
            "'nope'",
        ),
        ((*INSTALLED, "ValueError: not enough data"), "script", "ValueError: not enough data"),
        ((*INSTALLED, "FAILED tests/test_gpu.py::test_memory - assert 3 < 2"), "script", "test_gpu.py::test_memory"),
        (("ModuleNotFoundError: of another program", *INSTALLED, "KeyError: 'a'"), "script", "KeyError: 'a'"),
        ((*INSTALLED,), "script", "exit code 1"),
    ],
    ids=[
        *("no-access", "no-commit", "nothing-printed", "no-such-package", "while-installing", "import", "no-module"),
        *("import-in-pytest", "no-script", "no-folder", "raised", "pytest", "import-before-the-start", "silent"),
    ],
)
def test_outcome_of__failed_task__names_phase_and_cause(console: tuple[str, ...], phase: str, cause: str) -> None:
    ending = failed(*console)
    assert ending.phase == phase
    assert ending.outcome == ("error" if phase == "clone" else "no_evidence")
    assert cause in ending.reason


@pytest.mark.parametrize(
    ("changes", "outcome", "phase"),
    [
        ({"status": "queued", "queued": 601.0}, "error", "queue"),
        ({"setup": 601.0}, "no_evidence", "clone"),
        ({"setup": 601.0, "console": CLONED}, "no_evidence", "environment"),
        ({"started": True, "running": 601.0}, "no_evidence", "progress"),
        ({"started": True, "running": 2.0, "progress": True}, "passed", ""),
        ({"status": "completed"}, "passed", ""),
        ({"status": "published"}, "passed", ""),
        ({"status": "stopped", "console": INSTALLED, "started": True}, "error", "script"),
        ({"status": "created"}, "error", "clone"),
    ],
    ids=["queue", "clone", "environment", "progress", "reported", "completed", "published", "aborted", "dequeued"],
)
def test_outcome_of__of_a_probe__has_outcome_and_phase(changes: dict[str, object], outcome: str, phase: str) -> None:
    ending = launch_outcome.outcome_of(launch(), replace(SEEN, **changes))  # type: ignore[arg-type]
    assert ending is not None
    assert (ending.outcome, ending.phase) == (outcome, phase)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "queued", "queued": 600.0},
        {"setup": 600.0},
        {"started": True, "setup": 900.0, "running": 600.0},
    ],
    ids=["queue", "setup", "progress"],
)
def test_outcome_of__within_its_limits__is_waited_for(changes: dict[str, object]) -> None:
    assert launch_outcome.outcome_of(launch(), replace(SEEN, **changes)) is None  # type: ignore[arg-type]


def test_outcome_of__training_that_reports__is_waited_for_until_it_has_ended() -> None:
    training = launch(run_until="completion", candidate="train", run_progress_limit="3600")
    reporting = replace(SEEN, started=True, progress=True, running=3600.0)
    assert launch_outcome.outcome_of(training, reporting) is None
    late = launch_outcome.outcome_of(training, replace(reporting, running=3601.0))
    assert late == LaunchOutcome(Outcome.NO_EVIDENCE, "progress", "its script had not ended within 3600 s")


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("cloning: https://user:hunter2@github.com/o/n", "hunter2"),
        ("GITHUB_TOKEN=abc123", "abc123"),
        ("api_key: 'abc 123'", "abc 123"),
        ('{"password": "hunter2"}', "hunter2"),
        ("Authorization: Bearer abcdefgh12345678", "abcdefgh12345678"),
        ("using ghp_0123456789abcdefABCDEF", "ghp_0123456789abcdefABCDEF"),
        ("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
        ("token eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM", "SflKxwRJSM"),
        ("access_key = XYZ0000", "XYZ0000"),
    ],
    ids=["address", "variable", "quoted", "json", "bearer", "github", "aws", "jwt", "clearml"],
)
def test_console_tail__secret_in_the_console__is_masked(line: str, secret: str) -> None:
    assert secret not in "\n".join(launch_outcome.console_tail([*INSTALLED, line]))


def test_console_tail__long_console__is_its_last_thirty_lines_without_colors_and_progress_bars() -> None:
    console = [f"line {number}" for number in range(100)] + ["\x1b[31mred\x1b[0m", " 10%|#\r 90%|#########", ""]
    tail = launch_outcome.console_tail(console)
    assert (len(tail), tail[-2:]) == (30, ["red", " 90%|#########"])


def test_console_tail__of_a_script_that_started__is_what_it_printed_itself() -> None:
    assert launch_outcome.console_tail([*INSTALLED, "ValueError: no"]) == ["Starting Task Execution:", "ValueError: no"]


def test_console_tail__key_over_several_lines__is_masked_as_one_text() -> None:
    key = ["-----BEGIN PRIVATE KEY-----", "MIIEowIBAAKCAQEA", "abcdefgh", "-----END PRIVATE KEY-----"]
    assert launch_outcome.console_tail(["before", *key, "after"]) == ["before", "***", "after"]


def test_console_tail__ordinary_words__stay() -> None:
    line = "epoch 3: loss 0.25, tokens per second: many"
    assert launch_outcome.console_tail([line])[0].startswith("epoch 3: loss 0.25")
