"""Find the hyperparameter that holds the seed of a model's trainings."""

from clearml_ci.clearml_api import project_lookup, task_inputs
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.decisions import samples
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import RemoteRun

_READ = 5  # newest runs of the model


def of_model(clearml: ClearML, check: Check, launch: RemoteRun) -> str:
    """The hyperparameter, as `Section/name`: that of the policy, or the one that the last runs recorded; or ""."""
    if check.seed:
        return check.seed
    project = project_lookup.id_of(clearml, launch.project)
    newest = task_inputs.of_newest(clearml, project=project, task_name=launch.name, most=_READ) if project else []
    return next(filter(None, map(samples.seed_name, newest)), "")
