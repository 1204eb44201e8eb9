"""The curves that the charts of a comment show."""

from collections import defaultdict

from clearml_ci.clearml_api import task_metrics
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.gate import Gate
from clearml_ci.parameters.check import Check
from clearml_ci.report import charts
from clearml_ci.report.charts import Curves


def read(clearml: ClearML, check: Check, document: VerdictDocument) -> dict[int, Curves]:
    """The curves of the gates that get a chart, by their index; if ClearML refuses, the report goes on without them."""
    rows, candidate = document["gates"], document["candidate"]
    tasks = {
        index: (candidate["id"] if candidate else "", rows[index]["baseline_task"] or "")
        for index in charts.gates_with_chart(rows)
    }
    gates: dict[str, list[Gate]] = defaultdict(list)
    for index, pair in tasks.items():
        for task in filter(None, pair):
            gates[task].append(check.gates[index])
    try:
        curves = task_metrics.curves(clearml, gates)
    except ClearMLError:
        return {}
    return {
        index: Curves(*(curves.get((task, check.gates[index]), ()) for task in pair)) for index, pair in tasks.items()
    }
