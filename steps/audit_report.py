"""Report an audit: on the run, and in the repository's one issue."""

from typing import Any

from clearml_ci import audit, clearml_gateway, publish, step, verdict
from clearml_ci import audit_report as issue_text
from clearml_ci.audit import Audit
from clearml_ci.clearml_gateway import ClearML, Run
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
            for name, one in clearml_gateway.steps(clearml, run.id).items()
        },
        planned=audit.plan(run.arguments),
    )
    clearml_gateway.publish_verdict(clearml, run.id, document)
    body = issue_text.issue(document)
    return {"verdict": document, "markdown": body, **_post(wanted, document, body)}


def _post(wanted: Audit, document: Document, body: str) -> dict[str, Any]:
    """On GitHub, where this agent has credentials; else the job that waits for it may."""
    try:
        url = publish.audit(step.github(audit.as_check(wanted)), document, body)
    except GitHubError as error:
        return {"posted": False, "comment_url": "", "status_set": False, "warnings": [str(error)]}
    return {"posted": True, "comment_url": url, "status_set": True, "warnings": []}  # an audit has no commit status


if __name__ == "__main__":
    step.main(audit_report)
