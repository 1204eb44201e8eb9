"""The schedule of an audit: `daily 22:30` or `weekly mon 06:00`, in UTC, as ClearML's scheduler has it."""

import re
from dataclasses import dataclass
from typing import Any

from clearml_ci.core.errors import UsageError, nearest
from clearml_ci.core.redaction import excerpt

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


EXAMPLES = "'daily 22:30' or 'weekly mon 06:00', in UTC"


_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True)
class Schedule:
    """A time of the day in UTC, and the day of the week, empty if it is every day."""

    hour: int
    minute: int
    day: str = ""

    @property
    def text(self) -> str:
        """The schedule as a text, the inverse of `parse`."""
        when = f"{self.hour:02}:{self.minute:02}"
        return f"weekly {self.day[:3]} {when}" if self.day else f"daily {when}"


def parse(text: str) -> Schedule:
    """The schedule of a text. Raises UsageError with examples."""
    words = text.lower().split()
    every, day = (words[0], words[1:-1]) if words else ("", [])
    time = _TIME.fullmatch(words[-1]) if len(words) > 1 else None
    if not time or (every, len(day)) not in (("daily", 0), ("weekly", 1)):
        raise UsageError(f"the schedule is {excerpt(text, 60)!r}: expected {EXAMPLES}")
    return Schedule(int(time[1]), int(time[2]), *(_day(name) for name in day))


def _day(name: str) -> str:
    days = [day for day in DAYS if len(name) >= 3 and day.startswith(name)]
    if not days:
        raise UsageError(
            f"the schedule's day is {excerpt(name, 60)!r}{nearest(name, DAYS, what='days')}; expected {EXAMPLES}"
        )
    return days[0]


def for_scheduler(schedule: Schedule) -> dict[str, Any]:
    """The arguments of `TaskScheduler.add_task`.

    Without `day=1` it takes `hour=22` alone for every hour, and a weekday for every so many hours of that day.
    """
    weekdays = {"weekdays": [schedule.day]} if schedule.day else {}
    return {"day": 1, "hour": schedule.hour, "minute": schedule.minute, **weekdays}
