"""Read the gates of several runs at the checkpoint of each, from their curves."""

from collections.abc import Mapping, Sequence

from clearml_ci.clearml_api import task_metrics
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.clearml_api.task_records import Measured
from clearml_ci.core import checkpoint
from clearml_ci.core.formatting import capitalize_first, count
from clearml_ci.core.gate import Gate

Readings = Mapping[str, Measured]  # by the ids of tasks


def read(clearml: ClearML, gates: Sequence[Gate], runs: Readings) -> Readings:
    """The runs with the value of each gate at its checkpoint: one request for each 100 runs, however many gates.

    Without a checkpoint in any gate nothing is asked, and they stay as they are.
    """
    names = checkpoint.names(gates)
    if not names or not runs:
        return runs
    curves = task_metrics.at_iterations(clearml, list(runs), names)
    return {id_: (task, checkpoint.read(gates, values, curves[id_])) for id_, (task, values) in runs.items()}


def warnings(gates: Sequence[Gate], runs: Sequence[Measured]) -> list[str]:
    """Warnings about runs of the reference that do not count, because they have no value at their checkpoint."""
    found = checkpoint.lacking(gates, [values for _, values in runs])
    return [
        f"{capitalize_first(count(number, 'run'))} of the reference do not count everywhere: {why}."
        for why, number in found.items()
    ]
