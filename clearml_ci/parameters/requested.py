"""All parameters of a run that its steps read, together: the controller refuses wrong ones before it starts a step."""

from collections.abc import Mapping

from clearml_ci.core.errors import UsageError
from clearml_ci.parameters import audit, check, remote_run
from clearml_ci.parameters.audit import Audit
from clearml_ci.parameters.check import Check


def check_of(arguments: Mapping[str, str]) -> Check:
    """The check or promotion that a run's `Args` describe, whose remote run can be read as well. Raises UsageError."""
    found = check.from_arguments(arguments)
    launch = remote_run.from_arguments(arguments) if found.action == "check" else None
    if launch:
        remote_run.refuse_shared_queue(arguments, code=launch.queue)
        remote_run.refuse_out_of_reach(launch, project=found.project, task_name=found.task_name)
    return found


def audit_of(arguments: Mapping[str, str]) -> Audit:
    """The audit that a run's `Args` describe, whose probe and trainings can be read as well. Raises UsageError."""
    found = audit.from_arguments(arguments)
    remote_run.from_arguments({**arguments, **(audit.RETRAINING if found.retrain else {})})
    return found


def refusal(pipeline: str, arguments: Mapping[str, str]) -> str:
    """Reason why a run of this pipeline with these `Args` makes no sense, with the parameter's name, or ""."""
    try:
        (audit_of if pipeline == audit.PIPELINE else check_of)(arguments)
    except UsageError as error:
        return str(error)
    return ""
