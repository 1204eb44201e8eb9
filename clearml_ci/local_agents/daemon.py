"""The process of one clearml-agent: its start, and its end with all that it executes.

It is no `--detached` daemon: that one copies its configuration, with all keys, to a place that every user can read,
and its clones can be written by all users (clearml-agent 3.0.3).
"""

import contextlib
import functools
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clearml_ci.core.poll import Clock, Pace, TimedOutError, until
from clearml_ci.local_agents import folders, settings
from clearml_ci.local_agents.plan import Agent, Plan

_PRIVATE = 0o077

# An interrupt ends what the agent executes and marks its task as aborted; the agent itself may then take another task,
# and ends at the next signal.
_SIGNALS = ((signal.SIGINT, 2.0), (signal.SIGINT, 4.0), (signal.SIGTERM, 4.0), (signal.SIGKILL, 5.0))

_LONGEST_LOG = 10_000_000  # bytes


@dataclass
class Daemon:
    """A clearml-agent that was started here."""

    agent: Agent
    process: subprocess.Popen[bytes]
    since: float

    def ended(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll()


def start(plan: Plan, agent: Agent, clock: Clock) -> Daemon:
    """Start an agent, whose folders and configuration exist. It leads a session and a group of its own."""
    account = agent.account
    user = {"user": account.uid, "group": account.gid, "extra_groups": [account.gid]} if account else {}
    with contextlib.ExitStack() as files:
        output = files.enter_context(agent.log.open("ab"))
        agent.log.chmod(0o600)
        lock = files.enter_context(folders.locked(agent.directory))
        process = subprocess.Popen(
            settings.command(agent),
            env=settings.variables(agent, plan.environ, poll_seconds=plan.poll_seconds),
            cwd=agent.files,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=_PRIVATE,
            pass_fds=[lock.fileno()] if lock else [],  # the lock is held until the agent has ended
            **user,  # type: ignore[call-overload]
        )
    return Daemon(agent, process, clock.now())


def end(groups: Sequence[int], clock: Clock) -> list[int]:
    """End groups of processes with what they execute, and return those that had to be killed."""
    left = [group for group in groups if _lives(group)]
    for number, seconds in _SIGNALS:
        for group in left:
            _signal(group, number, whole_group=number is signal.SIGKILL)
        killed = left if number is signal.SIGKILL else []
        left = _wait(left, clock, seconds)
        if not left:
            return killed
    return left


def _wait(groups: Sequence[int], clock: Clock, seconds: float) -> list[int]:
    """Wait until the groups have ended, and return those that have not."""
    with contextlib.suppress(TimedOutError):
        until(clock, lambda: None if any(map(_lives, groups)) else True, pace=Pace(0.05), timeout=seconds)
    return [group for group in groups if _lives(group)]


def _lives(leader: int) -> bool:
    """True if the leader of a group lives. As its parent, collect it when it has ended."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(leader, os.WNOHANG)
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _signal(leader: int, number: signal.Signals, *, whole_group: bool) -> None:
    if leader in (0, 1, os.getpgrp()):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        (os.killpg if whole_group else os.kill)(leader, number)


def last_words(agent: Agent) -> str:
    """The last line of the agent's log; empty if there is none."""
    try:
        lines = agent.log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def shorten_logs(agent: Agent) -> None:
    """Empty logs that have grown beyond 10 MB: agents append to them for as long as they run."""
    if _size(agent.log) > _LONGEST_LOG:
        os.truncate(agent.log, 0)
    for path in agent.temporary.glob(".clearml_agent_daemon_out*"):
        if _size(path) > _LONGEST_LOG:
            folders.as_user(agent, functools.partial(os.truncate, path, 0))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
