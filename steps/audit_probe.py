"""Does main's head still run on an agent today? It is launched as a check would launch it, and ended again."""

from clearml_ci.agent import step
from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console
from clearml_ci.core.outcome import NOT_NEEDED
from clearml_ci.core.step_results import ProbeResult
from clearml_ci.decisions import audit_findings, launch_outcome
from clearml_ci.decisions.audit_findings import Where
from clearml_ci.operations import github_access, main_branch
from clearml_ci.parameters import audit, remote_run


def audit_probe(clearml: ClearML, run: Run) -> ProbeResult:
    """The launch of main's head, and its findings; `not_needed` where no probe is asked for."""
    wanted, asked = audit.from_arguments(run.arguments), remote_run.from_arguments(run.arguments)
    if asked is None:
        nothing = launch_outcome.not_launched(NOT_NEEDED, phase="", reason="no probe is asked for")
        return {**nothing, "commit": "", "findings": []}
    remote_run.refuse_shared_queue(run.arguments, code=asked.queue)
    hub = github_access.github_if_any(audit.as_check(wanted))
    commit = main_branch.head(hub, wanted)
    result = main_branch.launch(clearml, run, wanted, asked, hub=hub, commit=commit, tell=console.say)
    home = Where("project", wanted.home.repository, "")
    return {**result, "findings": audit_findings.as_documents(audit_findings.of_probe(result, home))}


if __name__ == "__main__":
    step.main(audit_probe)
