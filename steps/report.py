"""Report the verdict: on the run, in the pull request's one comment, as a commit status."""

import os
from typing import Any

from clearml_ci import check, clearml_gateway, github_gateway, markdown, step, verdict
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, Run
from clearml_ci.github_gateway import GitHub, GitHubError
from clearml_ci.verdict import Document


def report(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"verdict", "markdown", "comment_url", "warnings"}`."""
    wanted = check.from_arguments(run.arguments)
    steps = clearml_gateway.steps(clearml, run.id)
    document = verdict.compose(
        wanted,
        run={"id": run.id, "url": run.url},
        steps={name: {"status": one.status, "result": one.result} for name, one in steps.items()},
    )
    scalars = clearml_gateway.scalars(clearml, document["candidate"]["id"]) if document["candidate"] else []
    body = markdown.comment(document, scalars)
    published = publish(wanted, document, body)
    document = published.pop("verdict")
    clearml_gateway.publish_verdict(clearml, run.id, document)
    return {"verdict": document, "markdown": body, **published}


def publish(wanted: Check, document: Document, body: str) -> dict[str, Any]:
    """Comment and status. Either may be refused with a warning; both refused is an `error`."""
    try:
        hub = _connect(wanted)
    except GitHubError as error:
        return _unreported(document, [str(error)])
    comment_url, refused = "", []
    try:
        comment_url = _comment(hub, wanted, body)
    except GitHubError as error:
        refused.append(str(error))
    try:
        _status(hub, document)
    except GitHubError as error:
        refused.append(str(error))
    if len(refused) == 2:
        return _unreported(document, refused)
    return {"verdict": document, "comment_url": comment_url, "warnings": refused}


def _connect(wanted: Check) -> GitHub:
    token = os.environ.get("GITHUB_TOKEN") or os.environ.get("GH_TOKEN")
    if not token:
        raise GitHubError("the steps' agent has no GITHUB_TOKEN in its environment: nothing can be reported to GitHub")
    api_url = os.environ.get("GITHUB_API_URL", "https://api.github.com")
    if wanted.pull_request.github_api.rstrip("/") != api_url.rstrip("/"):
        # A run's parameters can be edited by anyone on the ClearML server; the token goes where its owner said.
        raise GitHubError(
            f"the run asks to report to {wanted.pull_request.github_api}, but the steps' agent reports to {api_url}: "
            "set GITHUB_API_URL in the agent's environment"
        )
    return github_gateway.connect(api_url=api_url, token=token, repository=wanted.pull_request.repository)


def _comment(hub: GitHub, wanted: Check, body: str) -> str:
    number = wanted.pull_request.number
    return github_gateway.upsert_comment(
        hub, pull_request=number, marker=markdown.marker(wanted.pull_request.repository, number), body=body
    )


def _status(hub: GitHub, document: Document) -> None:
    github_gateway.set_status(
        hub,
        commit=document["commit"],
        state=verdict.OUTCOMES[document["outcome"]].state,
        description=f"{document['outcome'].replace('_', ' ')}: {document['exit_reason']}",
        url=document["pipeline"]["url"],
    )


def _unreported(document: Document, refused: list[str]) -> dict[str, Any]:
    reason = f"the verdict '{document['outcome']}' could not be reported: {'; '.join(refused)}"
    return {
        "verdict": {**document, "outcome": "error", "exit_reason": reason},
        "comment_url": "",
        "warnings": refused,
    }


if __name__ == "__main__":
    step.main(report)
