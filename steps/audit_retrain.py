"""Train the default branch's head again, as often as asked, and compare the results with its own earlier runs."""

from clearml_ci.agent import step
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.errors import UsageError
from clearml_ci.core.step_results import RetrainResult
from clearml_ci.decisions import audit_findings
from clearml_ci.operations import retraining
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters import remote_run


def audit_retrain(services: Services, run: Run) -> RetrainResult:
    """The trainings, which stay as runs of the default branch like any other, and the findings."""
    audit = audit_parameters.from_arguments(run.arguments)
    launch = remote_run.from_arguments({**run.arguments, **audit_parameters.RETRAINING})
    if launch is None or not audit.gates:
        raise UsageError("retrain is set, but gates is empty: name the metrics that the trainings are compared by")
    remote_run.refuse_shared_queue(run.arguments, code=launch.queue)
    done = retraining.retrain(services, run, audit, launch)
    return {
        "tasks": done.trainings,
        "findings": audit_findings.as_documents(done.findings),
        "notes": [*done.notes, *(done.main.notes if done.main else ())],
        "unseen": list(done.main.unseen) if done.main else [],
    }


if __name__ == "__main__":
    step.main(audit_retrain)
