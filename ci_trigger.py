"""Start a pipeline in ClearML, wait for it, and exit with its verdict. No decision is made here."""

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

try:
    from clearml_ci.clearml_api.session import ClearMLError
except ModuleNotFoundError as missing:
    sys.stderr.write(
        f"error: {missing}: activate the environment of ClearML CI, or install its packages there with "
        "`pip install -r requirements-agents.txt`\n"
    )
    sys.exit(2)  # 1 would mean "regressed"

from clearml_ci.clearml_api import configuration
from clearml_ci.core import console, poll, schedule
from clearml_ci.core.errors import UsageError, did_you_mean, nearest
from clearml_ci.core.poll import Clock, Stopwatch
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job import (
    audit,
    backtest,
    calibrate,
    calibration_settings,
    events,
    history,
    known_noise,
    settings,
    start,
    workflow_output,
)
from clearml_ci.local_agents import options as agent_options
from clearml_ci.policy import policy_file

HELP = """\
Checks a pull request inside ClearML: finds the task that ran its head commit, or runs it on an agent, compares it
with the baseline, comments, sets a commit status, and exits with the verdict. After the merge it promotes the merged
model to be the baseline; on a schedule it audits the default branch.

  0  passed, improved, accepted, or no baseline    3  inconclusive: the evidence cannot decide
  1  regressed, no evidence, or an audit's finding 4  error: ClearML, a queue, an agent or GitHub failed
  2  wrong usage or configuration

In a GitHub workflow no command is needed, the event decides: a pull request is checked (`on: pull_request`), and so is
the commit of a merge queue (`merge_group`), or one whose loss a comment accepts (`issue_comment`); the merge into the
default branch (`types: [closed]`, or the push to it) promotes its model, and `on: schedule` starts the audit. All
settings are environment variables; docs/inputs.md lists them. From a shell, the server is that of the CLEARML_*
variables or of your clearml.conf. Set GITHUB_REPOSITORY=owner/name, and GITHUB_TOKEN for the commands that read from
GitHub:

  python ci_trigger.py agents --detach                  start the agents that checks need, on this machine
  python ci_trigger.py validate                         check the policy file
  python ci_trigger.py rerun RUN threshold_percent=5    judge again with another tolerance; RUN is a run's id
  python ci_trigger.py calibrate 10                     train the default branch with ten seeds: its noise
  python ci_trigger.py backtest FILE                    judge the past by a policy file, and beside main's own
  python ci_trigger.py history                          main's runs, promotions and drift, as a table and charts
  python ci_trigger.py rollback                         undo the last promotion
  python ci_trigger.py audit                            audit the default branch
  python ci_trigger.py schedule daily 22:30             ClearML starts that audit each day; `schedule off` ends it
"""


@dataclass(frozen=True)
class Job:
    """The command line, the environment, and a stopwatch that runs since this process began."""

    arguments: argparse.Namespace
    environ: Mapping[str, str]
    stopwatch: Stopwatch


def main() -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    console.protect(os.environ)
    try:
        with contextlib.suppress(UsageError):  # a command that needs ClearML raises it
            configuration.hold_secrets()
        workflow_output.register_secrets()
        job = Job(arguments=_arguments(), environ=os.environ, stopwatch=poll.started(Clock()))
        name = job.arguments.command or events.command(job.environ)
        if name not in COMMANDS:
            raise UsageError(
                f"this event starts the command `{name}`, which this version does not have: name a command"
            )
        return COMMANDS[name].run(job)
    except (UsageError, ClearMLError, GitHubError) as error:
        workflow_output.fail(str(error), log_only="" if isinstance(error, GitHubError) else error.log_only)
        return 2 if isinstance(error, UsageError) else 4
    except KeyboardInterrupt:
        workflow_output.fail(start.CANCELLED)
    except Exception as error:  # exit code 1 would mean "regressed"
        workflow_output.fault(error)
    finally:  # what an exception interrupts in the SDK's exit handlers, Python prints as a traceback
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return 4


def _pr(job: Job) -> int:
    return start.check(job.environ, job.stopwatch)


def _promote(job: Job) -> int:
    return start.promote(job.environ, job.stopwatch)


def _audit(job: Job) -> int:
    return start.run(audit.read_settings(job.environ), job.environ, job.stopwatch)


def _schedule(job: Job) -> int:
    return audit.schedule(job.environ, " ".join(job.arguments.when), job.stopwatch.clock)


def _rerun(job: Job) -> int:
    return start.rerun(job.arguments.run, job.arguments.changes, job.environ, job.stopwatch)


def _rollback(job: Job) -> int:
    return start.rollback(job.environ, job.stopwatch)


def _validate(job: Job) -> int:
    file = job.arguments.file or settings.policy_file(job.environ) or policy_file.FILE
    policy = policy_file.read(file)
    console.log(policy_file.summary(policy))
    for line in known_noise.lines(policy.check, job.stopwatch.clock):
        console.log(line)
    return 0


def _calibrate(job: Job) -> int:
    return calibrate.run(job.environ, job.arguments.number, job.stopwatch.clock)


def _backtest(job: Job) -> int:
    given = job.arguments
    options = backtest.Options(given.file or "", given.last, given.markdown, given.report)
    return backtest.run(job.environ, options, job.stopwatch.clock)


def _history(job: Job) -> int:
    given = job.arguments
    return history.run(job.environ, given.metric, given.project, job.stopwatch.clock)


def _register(job: Job) -> int:
    return start.register(job.environ, job.stopwatch.clock)


def _agents(job: Job) -> int:
    if os.name == "nt":
        raise UsageError("agents run on Linux and macOS: on Windows, start them within WSL")
    from clearml_ci.local_agents import command_line  # a job needs none of it, and not every system has all of it

    return command_line.run(job.arguments, job.environ, job.stopwatch.clock, program=Path(__file__).resolve())


@dataclass(frozen=True)
class Command:
    """One command. `arguments`: names and options as `argparse` takes them; `details` end its help."""

    help: str
    run: Callable[[Job], int]
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    details: str = ""


COMMANDS = {
    "pr": Command("check the pull request of the current event", _pr),
    "promote": Command("after a merge into the default branch: move the baseline's tag, by the policy", _promote),
    "audit": Command("audit the default branch: baselines, leftovers, queues, a probe of its head", _audit),
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
            "changes": {"nargs": "*", "default": [], "metavar": "NAME=VALUE", "help": "parameters to change"},
        },
    ),
    "rollback": Command("undo the last promotion: the tag goes back to the baseline before it", _rollback),
    "validate": Command(
        "check a policy file, and state the noise of its gates if ClearML keys are set",
        _validate,
        {"file": {"nargs": "?", "help": f"default: {policy_file.FILE}, or the one that CLEARML_CI_POLICY names"}},
    ),
    "calibrate": Command(
        "train the default branch's head with N seeds, side by side, and state the noise of its gates",
        _calibrate,
        {
            "number": {
                "nargs": "?",
                "metavar": "N",
                "default": str(calibration_settings.DEFAULT),
                "help": f"{calibration_settings.FEWEST} to {calibration_settings.MOST}, default: "
                f"{calibration_settings.DEFAULT}; what exists already is counted",
            }
        },
    ),
    "backtest": Command(
        "judge the checks and merges of the past by a policy file, beside the policy of the default branch; it changes "
        "nothing",
        _backtest,
        {
            "file": {"nargs": "?", "help": "a policy file; default: the policy of the default branch alone"},
            "--last": {"default": str(backtest.DEFAULT), "metavar": "N", "help": "checks; default: %(default)s"},
            "--markdown": {"default": "", "metavar": "PATH", "help": "also write it with charts into this file"},
            "--report": {"action": "store_true", "help": "also create a task in ClearML with plots"},
        },
    ),
    "history": Command(
        "print the default branch's runs, references, promotions and drift of a project; it changes nothing",
        _history,
        {
            "--metric": {
                "action": "append",
                "default": [],
                "metavar": "TITLE/SERIES",
                "help": "may be repeated; default: the gates of the policy",
            },
            "--project": {"default": "", "metavar": "NAME", "help": "ClearML project; default: that of the policy"},
        },
    ),
    "agents": Command(
        "start the agents that checks need on this machine, and keep them running until Ctrl-C; or list or end them",
        _agents,
        agent_options.OPTIONS,
        agent_options.DETAILS,
    ),
    "register": Command("register the pipelines of this version in ClearML, and start nothing", _register),
}


class _Parser(argparse.ArgumentParser):
    """A wrong argument is wrong usage like any other: it reaches the job's outputs."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")


def _arguments() -> argparse.Namespace:
    """The command line. Raises UsageError."""
    parser = _Parser(description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(
            name,
            help=command.help,
            description=command.help,
            epilog=command.details,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        for argument, options in command.arguments.items():
            subparser.add_argument(argument, **options)
    _refuse_unknown_command(sys.argv[1:])
    given, unknown = parser.parse_known_args()
    if unknown:
        raise UsageError(_unknown_argument(unknown[0], given.command))
    return given


def _refuse_unknown_command(words: Sequence[str]) -> None:
    if words and not words[0].startswith("-") and words[0] not in COMMANDS:
        raise UsageError(f"no command '{words[0]}'{nearest(words[0], COMMANDS, what='commands')}")


def _unknown_argument(word: str, command: str | None) -> str:
    known = COMMANDS[command].arguments if command else ()
    near = did_you_mean(word, [name for name in known if name.startswith("-")])
    return f"unrecognized argument: {word}{near}; see {' '.join(['ci_trigger.py', *filter(None, [command])])} --help"


def _interrupt(signum: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  the signature is Python's
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
