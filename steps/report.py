"""Report the verdict: on the run, in the pull request's one comment, as a commit status."""

from typing import Any

from clearml_ci import charts, check, clearml_gateway, markdown, step, verdict
from clearml_ci import publish as github_publish
from clearml_ci.charts import Curves
from clearml_ci.check import Check
from clearml_ci.clearml_gateway import ClearML, ClearMLError, Run
from clearml_ci.gate import Gate
from clearml_ci.github_gateway import GitHubError
from clearml_ci.verdict import Document


def report(clearml: ClearML, run: Run) -> dict[str, Any]:
    """`{"verdict", "markdown", "posted", "comment_url", "status_set", "warnings"}`; `posted`: GitHub took a part."""
    wanted = check.from_arguments(run.arguments)
    step.require_own_repository(wanted.pull_request.repository, run)
    steps = clearml_gateway.steps(clearml, run.id)
    document = verdict.compose(
        wanted,
        run={"id": run.id, "url": run.url},
        steps={name: {"status": one.status, "result": one.result} for name, one in steps.items()},
    )
    scalars = clearml_gateway.scalars(clearml, document["candidate"]["id"]) if document["candidate"] else []
    body = markdown.comment(document, scalars, curves(clearml, wanted, document))
    clearml_gateway.publish_verdict(clearml, run.id, document)
    return {"verdict": document, "markdown": body, **publish(wanted, document, body)}


def curves(clearml: ClearML, wanted: Check, document: Document) -> dict[int, Curves]:
    """The curves of the gates that get a chart. They only illustrate: without them the report is the same."""
    documents = document["gates"]
    tasks = {
        index: ((document["candidate"] or {}).get("id") or "", documents[index]["baseline_task"] or "")
        for index in charts.picked(documents)
    }
    asked: dict[str, list[Gate]] = {}
    for index, pair in tasks.items():
        for task in filter(None, pair):
            asked.setdefault(task, []).append(wanted.gates[index])
    try:
        found = clearml_gateway.curves(clearml, asked)
    except ClearMLError:
        return {}
    return {
        index: Curves(*(found.get((task, wanted.gates[index]), ()) for task in pair)) for index, pair in tasks.items()
    }


def publish(wanted: Check, document: Document, body: str) -> dict[str, Any]:
    """On GitHub, where this agent has credentials; else the verdict waits for the job that waits for it."""
    try:
        hub = step.github(wanted)
    except GitHubError as error:
        step.say(f"nothing is told on GitHub by this step: {error}")
        warnings = [] if isinstance(error, step.NoCredentialsError) else [str(error)]
        return {"posted": False, "comment_url": "", "status_set": False, "warnings": warnings}
    posted = github_publish.verdict(hub, wanted, document, body)
    warnings = list(posted.warnings)
    if not wanted.waited_for:  # a job that waits ends the check run that it started
        warnings += filter(None, [github_publish.check_run(hub, wanted, document, body, started=None)])
    return {
        "posted": posted.status_set or bool(posted.comment_url),
        "comment_url": posted.comment_url,
        "status_set": posted.status_set,
        "warnings": warnings,
    }


if __name__ == "__main__":
    step.main(report)
