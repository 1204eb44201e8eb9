"""The curves that the charts of a comment and the plots of a run show."""

from collections import defaultdict
from dataclasses import replace

from clearml_ci.clearml_api import task_metrics
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import slices
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.gate import Gate
from clearml_ci.parameters.check import Check
from clearml_ci.report import charts
from clearml_ci.report.charts import Curves


def read(clearml: ClearML, check: Check, document: VerdictDocument) -> dict[int, Curves]:
    """The curves of the gates that get a chart, by their index; if ClearML refuses, the report goes on without them."""
    rows = document["gates"]
    candidate, main = (task["id"] if task else "" for task in (document["candidate"], document["main_baseline"]))
    check = replace(check, gates=slices.of_rows(check.gates, rows))
    tasks = {
        index: (candidate, rows[index]["baseline_task"] or "", main)
        for index in charts.gates_with_chart(rows, most=charts.MOST_PLOTS)
    }
    gates: dict[str, list[Gate]] = defaultdict(list)
    for index, shown in tasks.items():
        for task in dict.fromkeys(filter(None, shown)):
            gates[task].append(check.gates[index])
    try:
        curves = task_metrics.curves(clearml, gates)
    except ClearMLError:
        return {}
    return {
        index: Curves(*(curves.get((task, check.gates[index]), ()) for task in shown)) for index, shown in tasks.items()
    }
