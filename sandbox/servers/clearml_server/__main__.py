"""Start the local ClearML server alone, and print the environment that points the SDK at it."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path

from . import start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.servers.clearml_server", description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("build/clearml-files"), help="folder of uploads")
    for name, default in (("api", 8008), ("files", 8081), ("web", 8080)):
        parser.add_argument(f"--{name}-port", type=int, default=default)
    options = parser.parse_args()
    ports = {name: getattr(options, name) for name in ("api_port", "files_port", "web_port")}
    server = start(options.directory, **ports)
    for name, value in server.environment().items():
        sys.stdout.write(f"export {name}={value}\n")
    sys.stdout.flush()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell starts background jobs with it ignored
        signal.signal(number, lambda *_: ended.set())
    ended.wait()
    server.stop()


if __name__ == "__main__":
    main()
