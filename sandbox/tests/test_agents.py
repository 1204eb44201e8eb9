"""Agents as the sandbox starts them: what they hold is for no other user of the machine."""

import sys
from pathlib import Path

import pytest

from sandbox.runtime import agents
from sandbox.runtime.agents import AgentSpec
from sandbox.runtime.clearml_access import Access


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_start__agent__keeps_home_temporary_folder_and_files_to_itself(
    access: Access, tmp_path: Path, prefix: str
) -> None:
    spec = AgentSpec("steps", f"{prefix}-steps", environment={"GITHUB_TOKEN": "t" * 40})
    started = agents.start(access, tmp_path, [spec], progress=print)
    try:
        status = Path(f"/proc/{started[0].process.pid}/status").read_text()
        directory = started[0].directory
        folders = (directory, directory / "home", directory / "home" / "tmp")
        assert "Umask:\t0077" in status
        assert [folder.stat().st_mode & 0o777 for folder in folders] == [0o700] * 3
        assert (directory / "clearml.conf").stat().st_mode & 0o777 == 0o600
    finally:
        agents.stop(access, started)
