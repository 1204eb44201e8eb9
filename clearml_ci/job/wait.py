"""Waiting for a run: what changed is told at once, and the wait ends with the run or at the deadline."""

import time
from collections.abc import Callable

from clearml_ci.clearml_api import pipeline_runs, run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.run_results import Step
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.clearml_api.task_status import ENDED

POLL, LATER_POLL = 0.5, 3.0  # seconds: soon after the start, and once the run has shown that it takes longer


SOON = 30  # seconds


DEQUEUED = "created"  # what a started run becomes when somebody takes it off its queue


PATIENCE = 20  # seconds that the server may be silent


REMINDER = 15  # seconds without a change after which a line says what is waited for


class DeadlineError(Exception):
    """The run had not ended in time."""


def until_ended(
    clearml: ClearML, run_id: str, *, deadline: float, tell: Callable[[str], None]
) -> tuple[Run, dict[str, Step]]:
    """Poll the run and its steps until it has ended; `deadline` is a time of `time.monotonic()`.

    Raises DeadlineError, or ClearMLError where the server stays silent for longer than PATIENCE.
    """
    seen: dict[str, str] = {}
    began = changed = heard = time.monotonic()
    while time.monotonic() < deadline:
        try:
            run, steps = pipeline_runs.read(clearml, run_id), run_results.steps(clearml, run_id)
            heard = time.monotonic()
        except ClearMLError:
            if time.monotonic() - heard > PATIENCE:
                raise
            time.sleep(POLL)
            continue
        states = {"run": run.status, **{step.name: step.status for step in steps.values()}}
        news = {name: state for name, state in states.items() if seen.get(name) != state}
        for name, state in news.items():
            tell(f"{name}: {state}")
        if run.status in ENDED or run.status == DEQUEUED:
            return run, steps
        if news:
            changed = heard
        elif time.monotonic() - changed > REMINDER:
            tell(f"still waiting: {', '.join(f'{name} {state}' for name, state in states.items())}")
            changed = heard
        seen = states
        time.sleep(POLL if heard - began < SOON else LATER_POLL)
    last = ", ".join(f"{name} {state}" for name, state in seen.items())
    raise DeadlineError(f"not ended in time ({last or 'no answer from ClearML'})")
