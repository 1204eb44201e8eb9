"""A clock for code that waits: no time passes but what is slept, and sleeping takes none."""

import time
from collections.abc import Callable

from clearml_ci.core.poll import Clock


def fast_clock(*, speed: float = 1.0, on_sleep: Callable[[], object] = lambda: None) -> Clock:
    """A clock on which each second that is slept counts as so many; `on_sleep` is called for each sleep."""
    elapsed = [0.0]

    def sleep(seconds: float) -> None:
        elapsed[0] += seconds * speed
        on_sleep()

    return Clock(monotonic=lambda: elapsed[0], now=time.time, sleep=sleep)
