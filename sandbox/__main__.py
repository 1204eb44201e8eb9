"""`python -m sandbox`: the sandbox in the foreground until Ctrl-C, or until the program that started it ends."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from sandbox.runtime import child, environment, stop_previous
from sandbox.runtime.agents import AgentError
from sandbox.runtime.clearml_access import ClearMLError
from sandbox.runtime.state import Sandbox

DIRECTORY = Path(__file__).parent.parent / "build" / "sandbox"


def main() -> int:
    options = _options()
    ended = stop_previous.stop(options.directory)
    if options.stop:
        log("the sandbox was stopped" if ended else "no sandbox is running")
        return 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        with environment.started(
            options.directory, server=options.server, with_agents=not options.without_agents, progress=log
        ) as sandbox:
            _describe(sandbox)
            _wait(child=options.child)
    except KeyboardInterrupt:
        return 0
    except (AgentError, ClearMLError, OSError) as error:
        log(f"error: {error}")
        return 4
    return 0


def log(line: str) -> None:
    print(f"sandbox: {line}", flush=True)  # noqa: T201


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("--directory", type=Path, default=DIRECTORY, help="folder of all its files (%(default)s)")
    parser.add_argument(
        "--server",
        choices=[environment.EMBEDDED, environment.OF_THE_ENVIRONMENT],
        default=environment.EMBEDDED,
        help="the ClearML server: embedded, or the one that the CLEARML_* variables name",
    )
    parser.add_argument("--without-agents", action="store_true", help="only the servers and the sample repository")
    parser.add_argument("--child", action="store_true", help="end with standard input, unless it holds 'keep'")
    parser.add_argument("--stop", action="store_true", help="end a sandbox that is still running, and nothing else")
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    # Once is enough: a second signal must not cut the clean-up short.
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _describe(sandbox: Sandbox) -> None:
    log(f"pull requests:  {sandbox.github.url}/{sandbox.repository}")
    log(f"ClearML pages:  {sandbox.clearml.web_url}")
    log(f"keys and tokens: {sandbox.directory / 'sandbox.json'}")
    log("ready; end it with Ctrl-C or `make stop`")


def _wait(*, child: bool) -> None:
    if child:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    threading.Event().wait()


def _end_with_parent() -> None:
    for line in sys.stdin:
        if line.strip() == child.KEEP:
            return
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
