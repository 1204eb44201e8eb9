"""Report the histories of the audited models as plots on the audit's run."""

from collections.abc import Mapping, Sequence

from clearml_ci.clearml_api import task_plots
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from clearml_ci.core.gate import Gate
from clearml_ci.decisions import history, reference_tags
from clearml_ci.decisions.audit_findings import Key, Tasks
from clearml_ci.decisions.history import History
from clearml_ci.decisions.promotion import Move
from clearml_ci.decisions.reference_tags import Change
from clearml_ci.operations.main_models import Model
from clearml_ci.report import history_plots


def report(clearml: ClearML, run: str, histories: Sequence[History]) -> list[str]:
    """Report the plots in one request, if there are any; a refusal is a note, which is returned."""
    plots = history_plots.of_models(histories)
    if not plots:
        return []
    try:
        task_plots.report(clearml, {run: plots})
    except ClearMLError as error:
        return [f"the history of the default branch could not be drawn on the run: {error}"]
    return []


def of_models(
    models: Mapping[Key, Model],
    gates: Sequence[Gate],
    by_tag: Mapping[str, Tasks],
    *,
    best: str,
    moves: Sequence[Move],
    changes: Sequence[Change],
) -> list[History]:
    """The histories of models; `by_tag` are the tasks with the tags of baseline and reference."""
    tags = {"baseline": best, "reference": reference_tags.names(best).runs}
    carriers = {
        kind: {task.id for task, _ in by_tag.get(tag, ()) if not task.copied_from} for kind, tag in tags.items()
    }
    return [
        history.of_model(model.name, model.merged, gates, carriers=carriers, moves=moves, changes=changes)
        for model in models.values()
    ]
