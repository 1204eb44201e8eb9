"""The local ClearML server as a command of its own."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from sandbox.runtime.clearml_access import Access, Client

ROOT = Path(__file__).parents[2]


def test_command__started__prints_the_variables_of_a_server_that_answers(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sandbox.servers.clearml_server", "--directory", str(tmp_path)]
    ports = [f"--{name}-port=0" for name in ("api", "files", "web")]
    with subprocess.Popen([*command, *ports], cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        lines = [server.stdout.readline() for _ in range(5)]
        printed = re.findall(r"^export (\w+)=(\S+)$", "".join(lines), re.MULTILINE)
        client = Client(Access.from_environment(dict(printed)))
        assert client.call("queues.get_all")["queues"][0]["name"] == "default"
        server.send_signal(signal.SIGINT)
    assert server.returncode == 0
