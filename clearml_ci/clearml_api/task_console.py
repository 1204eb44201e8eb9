"""Add lines to the console of a task."""

from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import redaction

_LONGEST = 100_000  # characters of one event: servers refuse events of megabytes


def add(clearml: ClearML, task: str, text: str) -> None:
    """Add text to a task's console, without secrets that this process holds. Raises ClearMLError.

    If an answer is lost, the text may appear twice.
    """
    outgoing = redaction.outgoing(text)
    now = int((clearml.clock.now() + clearml.ahead) * 1000)
    parts = [outgoing[start : start + _LONGEST] for start in range(0, len(outgoing), _LONGEST)]
    events = [
        {"type": "log", "task": task, "worker": "clearml-ci", "level": "info", "msg": part, "timestamp": now + number}
        for number, part in enumerate(parts)
    ]
    if events:
        clearml.call_batch("events.add_batch", events)
