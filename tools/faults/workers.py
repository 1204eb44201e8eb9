"""Work side by side: each worker is a process of its own, with a process that forks for it."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.runtime import processes
from tools.faults import every_request, play
from tools.faults.every_request import Ended
from tools.faults.launcher import Launcher
from tools.faults.plan import Case
from tools.faults.play import Played
from tools.faults.subjects import Cut


@dataclass(frozen=True)
class _Task:
    subject: Any
    directory: Path
    keep: bool = False


_LAUNCHERS: list[Launcher] = []


def play_cases(chosen: Sequence[Case], at_once: int, directory: Path, *, keep: bool) -> Iterator[Played]:
    """As they end, the longest begun first. Files go below `directory`."""
    ordered = sorted(chosen, key=lambda case: -case.deadline)
    yield from _work(_play, [_Task(case, directory / str(case.seed), keep) for case in ordered], at_once, directory)


def play_cuts(chosen: Sequence[Cut], at_once: int, directory: Path) -> Iterator[Ended]:
    """As they end."""
    tasks = [_Task(cut, directory / f"cut-{number}") for number, cut in enumerate(chosen)]
    yield from _work(_interrupt, tasks, at_once, directory)


def _work(function: Callable[[_Task], Any], tasks: Iterable[_Task], at_once: int, directory: Path) -> Iterator[Any]:
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(at_once, mp_context=fork, initializer=_begin, initargs=(directory,)) as pool:
        try:
            yield from (future.result() for future in as_completed([pool.submit(function, task) for task in tasks]))
        except BaseException:  # Ctrl-C
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():
                worker.terminate()
            raise


def _begin(directory: Path) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends this one
    signal.signal(signal.SIGTERM, _leave)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # several agents poll concurrently
    processes.reach_loopback_directly()
    _LAUNCHERS.append(Launcher(directory / f"launcher-{os.getpid()}.log"))


def _leave(*_: object) -> None:
    sys.exit(1)  # through every `finally`: agents and servers end with their case


def _play(task: _Task) -> Played:
    began = time.monotonic()
    try:
        return play.play(task.subject, task.directory, _LAUNCHERS[0], keep=task.keep)
    except Exception as error:  # the laboratory's own fault must not end the others
        return Played(task.subject, (), (), "", False, (), 0, time.monotonic() - began, fault=_lines(error))


def _interrupt(task: _Task) -> Ended:
    began = time.monotonic()
    try:
        return every_request.play(task.subject, task.directory, _LAUNCHERS[0])
    except Exception as error:
        return Ended(task.subject, {}, 0, (), time.monotonic() - began, fault=_lines(error))


def _lines(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-3000:]
