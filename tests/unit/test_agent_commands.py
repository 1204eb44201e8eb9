"""The documents' commands that start agents.

A detached agent leaves readable keys in its temporary folder. There it also looks for the names that are taken: agents
with folders of their own would have the same name, and ClearML would take them for one.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = {
    f"{path.name}, block {number}": block
    for path in [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob(".github/*.md"))]
    for number, block in enumerate(re.findall(r"^ *```\w*\n(.*?)^ *```", path.read_text(), re.MULTILINE | re.DOTALL))
    if "daemon --detached" in block
}


@pytest.mark.parametrize("place", BLOCKS)
def test_block__that_starts_agents__gives_them_a_private_temporary_folder(place: str) -> None:
    before = BLOCKS[place].partition("daemon --detached")[0]
    assert "TMPDIR=~/clearml-agents" in before
    assert "install -d -m 700 ~/clearml-agents" in before


@pytest.mark.parametrize("place", BLOCKS)
def test_block__that_starts_agents__names_each_as_its_queue(place: str) -> None:
    for command in re.findall(r".*daemon --detached.*", BLOCKS[place]):
        (queue,) = re.findall(r"--queue ([\w-]+)", command)
        assert f"CLEARML_WORKER_ID=$(hostname):{queue} " in command


@pytest.mark.parametrize("place", BLOCKS)
def test_block__that_starts_agents__mixes_no_pull_request_code_with_trusted_steps(place: str) -> None:
    queues = set(re.findall(r"--queue ([\w-]+)", BLOCKS[place]))
    assert queues == {"ci-code"} or "ci-code" not in queues
