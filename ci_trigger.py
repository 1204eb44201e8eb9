"""Start a check as a ClearML pipeline and wait for its verdict. The pipeline decides; this only carries the word."""

import argparse
import os
import signal
import sys
import time
import traceback
from types import FrameType
from typing import NoReturn

from clearml_ci import policy, settings, trigger, voice, workflow
from clearml_ci.clearml_gateway import ClearMLError
from clearml_ci.errors import UsageError
from clearml_ci.github_gateway import GitHubError

HELP = """\
Checks a pull request inside ClearML: finds the task that ran its head commit, or runs it on an agent, compares it
with the best, comments, sets a commit status, and exits with the verdict.

  0  passed, improved, or the first model        3  inconclusive: the evidence cannot decide
  1  regressed, or no evidence for this commit   4  error: ClearML, a queue, an agent or GitHub failed
  2  wrong usage or configuration

Inside a GitHub workflow (on: pull_request) everything is read from the environment; README.md has the table.
"""


def main() -> int:
    """The exit code of one command."""
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    given = _arguments()
    try:
        if given.command == "validate":
            workflow.say(policy.validate_file(given.file))
            return 0
        asked = settings.from_environment(os.environ, read_policy=voice.read_policy)
        return trigger.pull_request(asked, began=began)
    except (UsageError, ClearMLError, GitHubError) as error:
        workflow.fail(str(error))
        return 2 if isinstance(error, UsageError) else 4
    except KeyboardInterrupt:
        workflow.fail("cancelled before anything was started")
        return 4
    except Exception as error:  # exit code 1 would say "regressed"
        traceback.print_exc()
        workflow.fail(f"a fault of ClearML CI itself: {type(error).__name__}: {error}; please report it")
        return 4


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("pr", help="check the pull request of the current event (the default)")
    validate = commands.add_parser("validate", help="check a policy file, offline")
    validate.add_argument("file", nargs="?", default=policy.FILE, help=f"default: {policy.FILE}")
    return parser.parse_args()


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
