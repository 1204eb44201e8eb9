"""Does main's head still run on an agent today? It is launched as a check would launch it, and ended again."""

from typing import Any

from clearml_ci import audit, audit_findings, main_run, remote, step
from clearml_ci.audit_findings import Where
from clearml_ci.clearml_gateway import ClearML
from clearml_ci.clearml_runs import Run


def audit_probe(clearml: ClearML, run: Run) -> dict[str, Any]:
    """What `main_run.launch` returns, and `findings`; `not_needed` where no probe is asked for."""
    wanted, asked = audit.from_arguments(run.arguments), remote.from_arguments(run.arguments)
    if asked is None:
        nothing = {"outcome": "not_needed", "phase": "", "reason": "no probe is asked for", "commit": ""}
        return {**nothing, **main_run.NOTHING, "findings": []}
    remote.refuse_shared_queue(run.arguments, code=asked.queue)
    hub = step.github_if_any(audit.as_check(wanted))
    commit = main_run.head(hub, wanted)
    result = main_run.launch(clearml, run, wanted, asked, hub=hub, commit=commit, tell=step.say)
    home = Where("project", wanted.home.repository, "")
    return {**result, "findings": audit_findings.as_documents(audit_findings.of_probe(result, home))}


if __name__ == "__main__":
    step.main(audit_probe)
