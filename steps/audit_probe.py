"""Check that the default branch's head still runs on an agent: launch it as a check would, and end it again."""

from clearml_ci.agent import step
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.outcome import NOT_NEEDED
from clearml_ci.core.step_results import ProbeResult
from clearml_ci.decisions import audit_findings, launch_outcome
from clearml_ci.decisions.audit_findings import Subject
from clearml_ci.operations import github_access, main_branch
from clearml_ci.operations.services import Services
from clearml_ci.parameters import audit as audit_parameters
from clearml_ci.parameters import remote_run


def audit_probe(services: Services, run: Run) -> ProbeResult:
    """The result of the launch, and its findings; `not_needed` if the run has no probe."""
    audit, launch = audit_parameters.from_arguments(run.arguments), remote_run.from_arguments(run.arguments)
    if launch is None:
        nothing = launch_outcome.not_launched(NOT_NEEDED, phase="", reason="no probe is asked for")
        return {**nothing, "commit": "", "findings": []}
    remote_run.refuse_shared_queue(run.arguments, code=launch.queue)
    github = github_access.connect_if_possible(services.github, audit_parameters.as_check(audit))
    commit = main_branch.head_commit(github, audit)
    document = main_branch.launch(services, run, audit, launch, github=github, commit=commit)
    repository = Subject("project", audit.home.repository, "")
    return {**document, "findings": audit_findings.as_documents(audit_findings.check_probe(document, repository))}


if __name__ == "__main__":
    step.main(audit_probe)
