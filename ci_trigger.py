"""Start a check as a ClearML pipeline and wait for its verdict. The pipeline decides; this only carries the word."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core import schedule
from clearml_ci.core.errors import UsageError
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job import audit, event_context, events, settings, start, workflow_output
from clearml_ci.policy import policy_file

HELP = """\
Checks a pull request inside ClearML: finds the task that ran its head commit, or runs it on an agent, compares it
with the best, comments, sets a commit status, and exits with the verdict. After the merge it moves the best's tag;
on a schedule it audits what main promises.

  0  passed, improved, or the first model          3  inconclusive: the evidence cannot decide
  1  regressed, no evidence, or an audit's finding 4  error: ClearML, a queue, an agent or GitHub failed
  2  wrong usage or configuration

Inside a GitHub workflow no command is needed, the event decides: a pull request is checked (`on: pull_request`), its
merge into the default branch (`types: [closed]`, or the push to it) promotes its model, and `on: schedule` starts the
audit. Everything is read from the environment; docs/inputs.md has the table. From a shell, with the CLEARML_*
variables of your server, and GITHUB_REPOSITORY=owner/name and GITHUB_TOKEN where GitHub is asked:

  python ci_trigger.py validate                         is the policy file in order?
  python ci_trigger.py rerun RUN threshold_percent=5    judge again with another tolerance; RUN is a run's id
  python ci_trigger.py rollback                         the best before the last promotion is the best again
  python ci_trigger.py audit                            does what main promises still hold?
  python ci_trigger.py schedule daily 22:30             ClearML starts that audit each day; `schedule off` ends it
"""


def main() -> int:
    """The exit code of one command."""
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    given = _arguments()
    try:
        name = given.command or events.command(os.environ)
        if name not in COMMANDS:
            raise UsageError(f"this event asks for `{name}`, which this version does not have: name a command")
        return COMMANDS[name].act(given, began)
    except (UsageError, ClearMLError, GitHubError) as error:
        workflow_output.fail(str(error))
        return 2 if isinstance(error, UsageError) else 4
    except KeyboardInterrupt:
        workflow_output.fail("cancelled before anything was started")
    except Exception as error:  # exit code 1 would say "regressed"
        workflow_output.fault(error)
    return 4


def _pr(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001  all commands are called alike
    return start.run(settings.from_environment(os.environ, read_policy=event_context.read_policy), began=began)


def _promote(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001
    return start.promote(os.environ, began=began)


def _audit(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001
    return start.run(audit.asked(os.environ), began=began)


def _schedule(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001
    return audit.schedule(os.environ, " ".join(given.when))


def _rerun(given: argparse.Namespace, began: float) -> int:
    return start.rerun(given.run, given.changes, os.environ, began=began)


def _rollback(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001
    return start.rollback(os.environ, began=began)


def _validate(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001
    workflow_output.say(policy_file.validate_file(given.file or settings.policy_file(os.environ) or policy_file.FILE))
    return 0


def _register(given: argparse.Namespace, began: float) -> int:  # noqa: ARG001
    return start.register(os.environ)


@dataclass(frozen=True)
class Command:
    """`arguments`: names and options as `argparse` takes them."""

    help: str
    act: Callable[[argparse.Namespace, float], int]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


COMMANDS = {
    "pr": Command("check the pull request of the current event", _pr),
    "promote": Command("after a merge into the default branch: the best's tag moves, by the policy", _promote),
    "audit": Command("does what main promises still hold? bests, leftovers, queues, a probe of main's head", _audit),
    "schedule": Command(
        "have ClearML start the audit on schedule, with an agent of the services queue",
        _schedule,
        {"when": {"nargs": "+", "metavar": "WHEN", "help": f"{schedule.EXAMPLES}; or 'off'"}},
    ),
    "rerun": Command(
        "start a run again with edited parameters, as New run in ClearML does, and wait for its verdict",
        _rerun,
        {
            "run": {"metavar": "RUN", "help": "the id of a pipeline run"},
            "changes": {"nargs": "*", "metavar": "NAME=VALUE", "help": "parameters to change"},
        },
    ),
    "rollback": Command("undo the last promotion: the tag goes back to the best before it", _rollback),
    "validate": Command(
        "check a policy file, offline",
        _validate,
        {"file": {"nargs": "?", "help": f"default: {policy_file.FILE}, or what CLEARML_CI_POLICY names"}},
    ),
    "register": Command("register the pipelines of this version in ClearML, and start nothing", _register),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.help, description=command.help)
        for argument, options in command.arguments.items():
            one.add_argument(argument, **options)
    return parser.parse_args()


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
