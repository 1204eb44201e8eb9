"""The last runs of the default branch, which a comment shows beside the reference."""

import math
from dataclasses import replace

from clearml_ci.clearml_api import best_tag, project_lookup, task_records
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core import recorded_task, slices, student
from clearml_ci.core.documents import NoiseDocument, VerdictDocument
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate, Reported, can_be_trusted, value_of
from clearml_ci.decisions.difference import CONFIDENCE
from clearml_ci.operations import baselines
from clearml_ci.parameters.check import Check
from clearml_ci.report.charts import MOST_PLOTS, History

_READ = 60  # of which those of other models, and those that are no clean runs, are left out


MOST_RUNS = 20


def read(clearml: ClearML, check: Check, document: VerdictDocument) -> dict[int, History]:
    """The runs for each gate that was judged by its noise, by its position: one request for all.

    If ClearML refuses, the report goes on without them.
    """
    judged = {index: noise for index, row in enumerate(document["gates"]) if (noise := row.get("noise"))}
    judged = {index: noise for index, noise in judged.items() if not document["gates"][index].get("at")}  # of curves
    if not judged:
        return {}
    check = replace(check, gates=slices.of_rows(check.gates, document["gates"]))
    try:
        reported = _runs(clearml, check, document)
    except (ClearMLError, UsageError):
        return {}
    histories = {index: _history(check.gates[index], noise, reported) for index, noise in judged.items()}
    return {index: history for index, history in list(histories.items())[:MOST_PLOTS] if history.values}


def _runs(clearml: ClearML, check: Check, document: VerdictDocument) -> list[Reported]:
    """The reported values of the last runs of the default branch, oldest first."""
    candidate = document["candidate"]
    if candidate is None:
        return []
    project = project_lookup.existing_id(clearml, check.project) if check.project else None
    newest = task_records.newest_tagged(
        clearml,
        [best_tag.MAIN_TAG],
        projects=[project] if project else None,
        task_name=check.task_name or candidate["name"],
        gates=check.gates,
        most=_READ,
    )
    own = [
        values
        for task, values in newest
        if recorded_task.is_clean_run(task)
        and not task.copied_from
        and task.commit != candidate["commit"]
        and baselines.is_in_scope(check, task, candidate["project_id"])
    ]
    return own[:MOST_RUNS][::-1]


def _history(gate: Gate, noise: NoiseDocument, reported: list[Reported]) -> History:
    summaries = [summary for values in reported if (summary := values.get(gate))]
    reach = student.quantile(CONFIDENCE, noise["degrees_of_freedom"])
    reach *= noise["sd"] * math.sqrt(1 + 1 / noise["reference_runs"])
    return History(
        tuple(value_of(gate, summary) for summary in summaries if can_be_trusted(gate, summary)),
        noise["value"],
        noise["reference"] - reach,
        noise["reference"] + reach,
    )
