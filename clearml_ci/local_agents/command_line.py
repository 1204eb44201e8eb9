"""The parsed options of `ci_trigger.py agents`, turned into what they ask for."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.local_agents import command, plan
from clearml_ci.local_agents.plan import Request

_ALONE = ("detach", "status", "stop", "systemd", "compose")


def run(arguments: argparse.Namespace, environ: Mapping[str, str], clock: Clock, *, program: Path) -> int:
    """Do what the command line asks for; return the exit code. `program` is the path of ci_trigger.py."""
    given = [f"--{name}" for name in _ALONE if getattr(arguments, name)]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: give one of them")
    if arguments.status:
        return command.status(plan.resolved(arguments.folder), clock)
    if arguments.stop:
        return command.stop(plan.resolved(arguments.folder), clock)
    request = Request(
        controllers=arguments.controllers,
        steps=arguments.steps,
        code=arguments.code,
        folder=arguments.folder,
        poll_seconds=arguments.poll,
        code_user=arguments.code_user,
        docker=arguments.docker,
        code_configuration=arguments.code_conf,
    )
    if directory := arguments.systemd or arguments.compose:
        return command.write_files(request, environ, clock, directory, program, units=bool(arguments.systemd))
    if arguments.detach:
        plan.of_request(request, environ)  # what is wrong in the command line shows here
        rest = [word for word in sys.argv[2:] if word != "--detach"]
        return command.detach(request, rest, program, clock)
    return command.start(request, environ, clock)
