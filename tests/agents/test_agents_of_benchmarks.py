"""The agents that benchmarks start by `ci_trigger.py agents`."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from sandbox.scenarios.story import Story
from tools import agents_command


def test_running__block_fails_after_the_command_was_killed__leaves_no_agent(begun: Story, tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    with (
        pytest.raises(LookupError, match="the block's own"),
        agents_command.running(begun.sandbox, folder, controllers=1) as process,
    ):
        assert of(folder) > {process}
        os.kill(process, signal.SIGKILL)
        raise LookupError("the block's own")
    assert of(folder) == set()


def test_running__folder_that_agents_refuse__exits_with_what_the_command_said(begun: Story, tmp_path: Path) -> None:
    with (
        pytest.raises(SystemExit, match="clearml-agent refuses folders with spaces"),
        agents_command.running(begun.sandbox, tmp_path / "two words", controllers=1),
    ):
        pass


def of(folder: Path) -> set[int]:
    """The processes whose command names this folder."""
    found = psutil.process_iter(["pid", "cmdline", "status"])
    return {
        process.info["pid"]
        for process in found
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and any(str(folder) in word for word in process.info["cmdline"] or ())
    }
