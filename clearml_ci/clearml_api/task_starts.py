"""Count how often the SDK started a task: only the console distinguishes a continued task from any other."""

import re
from collections.abc import Iterator

from clearml_ci.clearml_api import task_fields
from clearml_ci.clearml_api.session import ClearML

_PAGE, _MOST_PAGES = 1000, 20  # events, each of which holds what was printed within two seconds or so


# What `Task.init` prints (clearml/task.py); `continue_last_task=0` prints that the task is reused.
_START = "ClearML Task: (created new|overwriting \\(reusing\\)|continuing previous) task id={}"


def count(clearml: ClearML, task: str) -> int | None:
    """The number of starts outside of agents; None if there is at most one in the first 20,000 events of more."""
    start, found = re.compile(_START.format(re.escape(task_fields.require_id(task)))), 0
    for number, texts in enumerate(_pages(clearml, task)):
        found += sum(len(start.findall(text)) for text in texts)
        if found > 1:
            return found
        if number == _MOST_PAGES:
            return None
    return found


def _pages(clearml: ClearML, task: str) -> Iterator[list[str]]:
    """The texts of a console's events, oldest first."""
    after: dict[str, int] = {}
    while True:
        answer = clearml.call(
            "events.get_task_log", task=task, batch_size=_PAGE, navigate_earlier=False, order="asc", **after
        )
        events = answer["events"]
        yield [str(event.get("msg") or "") for event in events]
        if len(events) < _PAGE:  # the events of the last moment come all, so a full page may be longer
            return
        after = {"from_timestamp": events[-1]["timestamp"]}
