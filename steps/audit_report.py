"""Report an audit: on the run, and in the repository's one issue."""

from typing import Any

from clearml_ci import audit, clearml_runs, publish, rerun, step, verdict
from clearml_ci import audit_report as issue_text
from clearml_ci.audit import Audit
from clearml_ci.clearml_gateway import ClearML
from clearml_ci.clearml_runs import Run
from clearml_ci.github_gateway import GitHubError
from clearml_ci.verdict import Document


def audit_report(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"verdict", "markdown", "posted", "comment_url": the issue's, "status_set", "warnings"}`, as that of a check."""
    wanted = audit.from_arguments(run.arguments)
    step.require_own_repository(wanted.home.repository, run)
    document = verdict.of_audit(
        wanted,
        run={"id": run.id, "url": run.url},
        steps={
            name: {"status": one.status, "result": one.result}
            for name, one in clearml_runs.steps(clearml, run.id).items()
        },
        planned=audit.plan(run.arguments),
    )
    again = rerun.of(clearml, run)
    if again:
        document["rerun"] = again.document
    clearml_runs.publish_verdict(clearml, run.id, document)
    body = issue_text.issue(document)
    return {"verdict": document, "markdown": body, **_post(wanted, document, body)}


def _post(wanted: Audit, document: Document, body: str) -> dict[str, Any]:
    """On GitHub, where this agent has credentials; else the job that waits for it may."""
    asked = audit.as_check(wanted)
    hub, silence = step.voice(asked)
    posted, url = hub is not None, ""
    try:
        url = publish.audit(hub, asked, document, body) if hub else ""
    except GitHubError as error:
        posted, silence = False, str(error)
    # An audit has no commit status: there is nothing left to set.
    return {"posted": posted, "comment_url": url, "status_set": posted, "warnings": [silence] if silence else []}


if __name__ == "__main__":
    step.main(audit_report)
