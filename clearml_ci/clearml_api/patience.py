"""Repeat a request while the server does not answer: a restart of it must not end a training of hours."""

from collections.abc import Callable
from typing import TypeVar

from clearml_ci.clearml_api.session import PATIENCE, ClearMLError
from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace

T = TypeVar("T")


def result(
    clock: Clock,
    request: Callable[[], T],
    *,
    error: type[ClearMLError] = ClearMLError,
    final: tuple[type[ClearMLError], ...] = (),
    report: Callable[[str], None] = lambda _: None,
) -> T:
    """The result of an idempotent request, sent again after an `error`.

    Raises its ClearMLError after PATIENCE, or immediately if it is `final` or no `error`.
    """

    def look() -> tuple[T]:
        return (request(),)

    patient = poll.tolerant(clock, look, error=error, patience=PATIENCE, final=final, report=report)
    (found,) = poll.until(clock, patient, pace=Pace(0.5, later=2, after=10))
    return found
