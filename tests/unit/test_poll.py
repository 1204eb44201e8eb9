"""The one loop that waits, by a clock of the test's own."""

from collections.abc import Callable, Iterator

import pytest

from clearml_ci.core import poll
from clearml_ci.core.poll import Clock, Pace, TimedOutError
from tests.clock import fast_clock


class ServerError(Exception):
    """The server did not answer."""


class GoneError(ServerError):
    """What was looked at does not exist any more."""


def answers(*results: object) -> Callable[[], object]:
    """A look that returns these in turn, or raises them."""
    left: Iterator[object] = iter(results)

    def look() -> object:
        result = next(left)
        if isinstance(result, Exception):
            raise result
        return result

    return look


@pytest.fixture
def sleeps() -> list[float]:
    return []


@pytest.fixture
def clock(sleeps: list[float]) -> Clock:
    fast = fast_clock()

    def sleep(seconds: float) -> None:
        sleeps.append(seconds)
        fast.sleep(seconds)

    return Clock(fast.monotonic, fast.now, sleep)


def test_until__first_result__is_returned_without_a_sleep(clock: Clock, sleeps: list[float]) -> None:
    assert poll.until(clock, answers("found"), pace=Pace(1), timeout=0) == "found"
    assert sleeps == []


def test_until__false__is_a_result(clock: Clock) -> None:
    assert poll.until(clock, answers(None, False), pace=Pace(1)) is False


def test_until__pace__is_that_of_the_time_that_has_passed(clock: Clock, sleeps: list[float]) -> None:
    assert poll.until(clock, answers(None, None, None, None, 1), pace=Pace(0.5, later=3.0, after=1)) == 1
    assert sleeps == [0.5, 0.5, 3.0, 3.0]


@pytest.mark.parametrize(("timeout", "looks"), [(-1, 1), (0, 2), (2, 4)])
def test_until__no_result_in_time__raises_after_a_last_look(clock: Clock, timeout: float, looks: int) -> None:
    seen: list[None] = []
    with pytest.raises(TimedOutError):
        poll.until(clock, lambda: seen.append(None), pace=Pace(1), timeout=timeout)
    assert len(seen) == looks


def test_tolerant__server_that_answers_again__goes_on(clock: Clock) -> None:
    error = ServerError()
    look = poll.tolerant(clock, answers(error, error, None, error, error, "found"), error=ServerError, patience=2)
    assert poll.until(clock, look, pace=Pace(1)) == "found"


def test_tolerant__server_that_stays_silent__raises_its_error(clock: Clock, sleeps: list[float]) -> None:
    look = poll.tolerant(clock, answers(None, *[ServerError()] * 9), error=ServerError, patience=2)
    with pytest.raises(ServerError):
        poll.until(clock, look, pace=Pace(1))
    assert len(sleeps) == 3


def test_tolerant__error_that_waiting_does_not_mend__is_raised_immediately(clock: Clock, sleeps: list[float]) -> None:
    look = poll.tolerant(clock, answers(GoneError()), error=ServerError, patience=2, final=(GoneError,))
    with pytest.raises(GoneError):
        poll.until(clock, look, pace=Pace(1))
    assert sleeps == []


def test_stopwatch__elapsed__counts_from_its_start(clock: Clock) -> None:
    clock.sleep(5)
    stopwatch = poll.started(clock)
    clock.sleep(2)
    assert stopwatch.elapsed() == 2
