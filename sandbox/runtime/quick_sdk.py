"""Makes the ClearML SDK of a process quick, whose forks then run tasks: nothing that it does is left out."""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace


def quicken() -> None:
    """Spare processes what the SDK computes anew with the same result; let controllers see the end of a step soon."""
    import clearml.config
    from clearml.automation.job import BaseJob
    from clearml.backend_api import config as api_config
    from clearml.backend_api.session import datamodel
    from clearml.backend_config.config import Config

    Config._read_single_file = staticmethod(functools.cache(Config._read_single_file))
    os.environ["CLEARML_CONFIG_FILE"] = os.devnull
    api_config.load(Path(clearml.config.__file__).parent)  # the defaults, into that cache
    datamodel._CustomValidator.check_schema = lambda *_: None  # of the SDK's own requests
    read_no_source()
    update = BaseJob.update_status_batch

    def update_always(jobs: Sequence[BaseJob]) -> None:
        BaseJob._last_batch_status_update_ts = 0  # at most once a second otherwise
        update(jobs)

    BaseJob.update_status_batch = update_always


def read_no_source() -> None:
    """Let the SDK's loggers look at their caller's file name alone: with lines of source it takes 0.2 s a session."""
    from clearml.debugging import log

    log.inspect = SimpleNamespace(stack=functools.partial(inspect.stack, 0))


def lock_tasks_by_process() -> None:
    """Give each process one lock for its tasks.

    The SDK's own are files, and `Task.init` replaces one while its thread that looks for the repository may hold it:
    the thread then waits for itself. A process that starts as quickly as here comes into that once in a hundred times.
    """
    from clearml.backend_interface.task import Task

    lock = threading.RLock()
    Task._edit_lock = property(lambda task: lock, lambda task, value: None)  # noqa: ARG005
