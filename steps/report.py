"""Report the verdict: on the run, in the pull request's one comment, as a commit status."""

from collections.abc import Callable
from typing import Any

from clearml_ci import check, clearml_gateway, github_gateway, markdown, step, verdict
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, Run
from clearml_ci.errors import UsageError
from clearml_ci.github_gateway import GitHub, GitHubError
from clearml_ci.verdict import Document


def report(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"verdict", "markdown", "comment_url", "status_set", "warnings"}`."""
    wanted = check.from_arguments(run.arguments)
    _require_own_repository(wanted, run)
    steps = clearml_gateway.steps(clearml, run.id)
    document = verdict.compose(
        wanted,
        run={"id": run.id, "url": run.url},
        steps={name: {"status": one.status, "result": one.result} for name, one in steps.items()},
    )
    scalars = clearml_gateway.scalars(clearml, document["candidate"]["id"]) if document["candidate"] else []
    body = markdown.comment(document, scalars)
    clearml_gateway.publish_verdict(clearml, run.id, document)
    published = publish(wanted, document, body)
    if published["verdict"] != document:
        clearml_gateway.publish_verdict(clearml, run.id, published["verdict"])
    return {"markdown": body, **published}


def _require_own_repository(wanted: Check, run: Run) -> None:
    """A run's parameters can be edited by anyone on the ClearML server; its project says whose checks it holds."""
    repository = wanted.pull_request.repository
    if not repository or f"/{repository}/.pipelines/" not in f"/{run.project}/":
        raise UsageError(f"a run in the project '{run.project}' must not report to the repository '{repository}'")


def publish(wanted: Check, document: Document, body: str) -> dict[str, Any]:
    """Comment and status. Either may be refused with a warning; both refused is an `error`."""
    comment_url, comment_refused = _attempt(lambda: _comment(step.github(wanted.pull_request), wanted, body))
    _, status_refused = _attempt(lambda: _status(step.github(wanted.pull_request), document))
    warnings = list(dict.fromkeys(text for text in (comment_refused, status_refused) if text))
    if comment_refused and status_refused:
        reason = f"the verdict '{document['outcome']}' could not be reported: {'; '.join(warnings)}"
        document = {**document, "outcome": "error", "exit_reason": reason}
    if not comment_url and not comment_refused:
        warnings.append(f"pull request #{wanted.pull_request.number} has moved on: its comment is left to the new head")
    return {
        "verdict": document,
        "comment_url": comment_url,
        "status_set": not status_refused,
        "warnings": warnings,
    }


def _attempt(act: Callable[[], str]) -> tuple[str, str]:
    """What it returned, and what GitHub said when it refused."""
    try:
        return act(), ""
    except GitHubError as error:
        return "", str(error)


def _comment(hub: GitHub, wanted: Check, body: str) -> str:
    pull = wanted.pull_request
    return github_gateway.upsert_comment(
        hub,
        pull_request=pull.number,
        commit=wanted.commit,
        marker=markdown.marker(pull.repository, pull.number),
        body=body,
    )


def _status(hub: GitHub, document: Document) -> str:
    return github_gateway.set_status(
        hub,
        commit=document["commit"],
        state=verdict.OUTCOMES[document["outcome"]].state,
        description=f"{document['outcome'].replace('_', ' ')}: {document['exit_reason']}",
        url=document["pipeline"]["url"],
    )


if __name__ == "__main__":
    step.main(report)
