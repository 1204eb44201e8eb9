"""Wait for a run: report each change, until the run has ended or its time is over."""

from collections.abc import Callable, Mapping

from clearml_ci.clearml_api import pipeline_runs, run_results
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.run_results import Step
from clearml_ci.clearml_api.session import PATIENCE, ClearML, ClearMLError
from clearml_ci.clearml_api.task_status import ENDED
from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from clearml_ci.core.step_results import REPORTS

PACE = Pace(0.5, later=3.0, after=30)


_BETWEEN_LOOKS = 20.0  # seconds between two looks at a merge queue


DEQUEUED = "created"  # the status of a started run that a user took off its queue


class DeadlineError(Exception):
    """The run had not ended in time."""


class DismissedError(Exception):
    """The merge queue has given up the commit that the run checks."""


def until_ended(
    clearml: ClearML,
    run_id: str,
    *,
    clock: Clock,
    timeout: float,
    report: Callable[[str], None],
    is_dismissed: Callable[[], bool] = lambda: False,
) -> tuple[Run, dict[str, Step]]:
    """Return the run and its steps once it has ended.

    Raises DeadlineError after `timeout` seconds, DismissedError once `is_dismissed`, or ClearMLError if the server does
    not answer for PATIENCE.
    """
    progress, looked = _Progress(clock, report), poll.started(clock)

    def ended() -> tuple[Run, dict[str, Step]] | None:
        run, steps = pipeline_runs.read(clearml, run_id), run_results.steps(clearml, run_id)
        nonlocal looked
        has_ended = run.status in ENDED or run.status == DEQUEUED
        # GitHub merges the group as soon as its status is green, which the reporting step sets before the run ends.
        is_reported = any(steps[name].result for name in REPORTS if name in steps)
        if looked.elapsed() > _BETWEEN_LOOKS and not has_ended and not is_reported:
            looked = poll.started(clock)
            if is_dismissed():
                raise DismissedError("the merge group is gone: GitHub has merged or dismissed it")
        progress.update({"run": run.status, **{step.name: step.status for step in steps.values()}})
        return (run, steps) if has_ended else None

    look = poll.tolerant(clock, ended, error=ClearMLError, patience=PATIENCE, report=report)
    try:
        return poll.until(clock, look, pace=PACE, timeout=timeout)
    except TimedOutError as error:
        raise DeadlineError(f"not ended in time ({progress.summary or 'no answer from ClearML'})") from error


class _Progress:
    """Reports each new status, and after poll.REMINDER seconds without one what the job waits for."""

    def __init__(self, clock: Clock, report: Callable[[str], None]) -> None:
        self._clock, self._report = clock, report
        self._statuses: Mapping[str, str] = {}
        self._unchanged = poll.started(clock)

    @property
    def summary(self) -> str:
        """`run in_progress, find_task completed`."""
        return ", ".join(f"{name} {status}" for name, status in self._statuses.items())

    def update(self, statuses: Mapping[str, str]) -> None:
        changed = {name: status for name, status in statuses.items() if self._statuses.get(name) != status}
        self._statuses = statuses
        for name, status in changed.items():
            self._report(f"{name}: {status}")
        if not changed and self._unchanged.elapsed() > poll.REMINDER:
            self._report(f"still waiting: {self.summary}")
        elif not changed:
            return
        self._unchanged = poll.started(self._clock)
