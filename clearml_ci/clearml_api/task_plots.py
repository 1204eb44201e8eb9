"""Report plots on the pages of tasks."""

import json
from collections.abc import Mapping, Sequence

from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import redaction
from clearml_ci.core.plot import Plot


def report(clearml: ClearML, plots: Mapping[str, Sequence[Plot]]) -> None:
    """Report the plots of each of these tasks, by its id, in one request. Raises ClearMLError if one is refused.

    A plot replaces the earlier one of its title and series.
    """
    events = [_event(clearml, task, plot) for task, of_task in plots.items() for plot in of_task]
    answer = clearml.call_batch("events.add_batch", events)
    if refused := answer.get("errors"):
        raise ClearMLError(f"events.add_batch: the ClearML server refused {refused} of {len(events)} plots")


def _event(clearml: ClearML, task: str, plot: Plot) -> dict[str, object]:
    figure = redaction.outgoing_document(plot.figure)
    return {
        "type": "plot",
        "task": task,
        "metric": redaction.outgoing(plot.title),
        "variant": redaction.outgoing(plot.series),
        "iter": 0,
        "timestamp": int((clearml.clock.now() + clearml.ahead) * 1000),
        "worker": "clearml-ci",
        "plot_str": json.dumps(figure, allow_nan=False),
    }
