"""Waiting: one loop for all of it, and the clock that it reads and sleeps by.

The clock is built in `main()` and handed in, so that tests wait for nothing.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


REMINDER = 15  # seconds without a change, or an answer, after which a line names what is waited for


@dataclass(frozen=True)
class Clock:
    """Seconds that only grow, seconds since 1970, and a sleep of so many seconds."""

    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Stopwatch:
    """A clock and the moment, by its `monotonic`, at which something began."""

    clock: Clock
    began: float

    def elapsed(self) -> float:
        """Return the seconds since then."""
        return self.clock.monotonic() - self.began


def started(clock: Clock) -> Stopwatch:
    """Return a stopwatch that begins now."""
    return Stopwatch(clock, clock.monotonic())


@dataclass(frozen=True)
class Pace:
    """Seconds between two looks: `first`, and `later` once `after` seconds have passed."""

    first: float
    later: float = math.nan
    after: float = math.inf

    def pause(self, elapsed: float) -> float:
        """Return the pause that follows a look so many seconds after the first one."""
        return self.first if elapsed < self.after else self.later


class TimedOutError(Exception):
    """The wait was over before there was a result."""


def until(clock: Clock, look: Callable[[], T | None], *, pace: Pace, timeout: float = math.inf) -> T:
    """Return the first result of `look` that is not None. Raises TimedOutError after `timeout` seconds without one.

    It looks at least once, and a last time when the timeout has passed.
    """
    watch = started(clock)
    while (result := look()) is None:
        elapsed = watch.elapsed()
        if elapsed > timeout:
            raise TimedOutError
        clock.sleep(pace.pause(elapsed))
    return result


def tolerant(
    clock: Clock,
    look: Callable[[], T | None],
    *,
    error: type[Exception],
    patience: float,
    final: tuple[type[Exception], ...] = (),
    report: Callable[[str], None] = lambda _: None,
) -> Callable[[], T | None]:
    """Return `look` with None in place of `error`, which is raised after `patience` seconds without an answer.

    `final` are subclasses of `error` that waiting does not mend: they are raised immediately. Each REMINDER seconds
    without an answer are reported with the error.
    """
    answered = reported = started(clock)

    def tolerant_look() -> T | None:
        nonlocal answered, reported
        try:
            result = look()
        except error as raised:
            if isinstance(raised, final) or answered.elapsed() > patience:
                raise
            if reported.elapsed() > REMINDER:
                report(f"waiting for an answer for {answered.elapsed():.0f} s, at most {patience:.0f} s: {raised}")
                reported = started(clock)
            return None
        answered = reported = started(clock)
        return result

    return tolerant_look
