"""Write for the GitHub workflow of a job: log commands, outputs, and the job summary."""

import json
import os
from pathlib import Path

from clearml_ci.core import console, redaction
from clearml_ci.core.documents import RunDocument, VerdictDocument
from clearml_ci.report import console_text


def register_secrets() -> None:
    """Have the runner mask the values that this process holds, in all steps of the job; it masks line by line."""
    for secret in redaction.held() if _in_workflow() else ():
        if "\n" not in secret:
            console.log_command(f"::add-mask::{_encode(secret)}")


def warn(text: str) -> None:
    """Write a `::warning::` into the log, which also shows on the run's page."""
    _annotate("warning", f"ClearML CI: {text}")


def note(text: str) -> None:
    """Write a `::notice::`, as warn."""
    _annotate("notice", f"ClearML CI: {text}")


def fail(reason: str, *, log_only: str = "") -> None:
    """Log one line with what failed and what to do, if there is no verdict document."""
    _annotate("error", f"ClearML CI: {reason}{log_only}")
    _append("GITHUB_OUTPUT", f"outcome=error\nexit_reason={' '.join(redaction.outgoing(reason).split())}\n")


def fault(error: Exception) -> None:
    """Log an unexpected error with its traceback."""
    console.log_error(error)
    text = redaction.mask(f"{type(error).__name__}: {error}")
    fail(f"a fault of ClearML CI itself: {text}; please report it with the lines above")


def conclude(verdict: VerdictDocument, *, title: str, comment_url: str, body: str) -> None:
    """Write the verdict into the log, the job's outputs and, as `body`, its summary."""
    for line in console_text.table(verdict):
        console.log(line)
    level = "notice" if verdict["exit_code"] == 0 else "error"
    _annotate(level, f"{title}: {verdict['exit_reason']}")
    values = outputs(verdict, comment_url=comment_url)
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in values.items()))
    _append("GITHUB_STEP_SUMMARY", redaction.outgoing_body(body))


def hand_over(run: RunDocument, *, status: str, notes: str) -> None:
    """Write about a run that the job does not wait for. `notes` end the job's summary.

    `status` is the name of the commit status that will show its verdict; empty for an audit, which has none.
    """
    agent = "the agent that runs the steps"
    place, otherwise = (
        (f"as the commit status '{status}', which {agent} sets", "the status stays pending")
        if status
        else (f"in the repository's one issue, which {agent} writes", "it is stored in ClearML only")
    )
    note(f"not waited for. The verdict comes {place} with its own GITHUB_TOKEN or GitHub App: without one, {otherwise}")
    _append("GITHUB_OUTPUT", f"pipeline_id={run['id']}\npipeline_url={run['url']}\n")
    _append("GITHUB_STEP_SUMMARY", f"Runs in ClearML: [pipeline run]({run['url']})\n{redaction.outgoing(notes)}")


def outputs(verdict: VerdictDocument, *, comment_url: str) -> dict[str, str]:
    """The job's outputs: one line each, so that no text can add another output."""
    verdict = redaction.outgoing_document(verdict)
    candidate, baseline = verdict["candidate"], verdict["baseline"]
    values = {
        "outcome": str(verdict["outcome"]),
        "exit_reason": verdict["exit_reason"],
        "task_id": candidate["id"] if candidate else "",
        "task_url": candidate["url"] if candidate else "",
        "baseline_task_id": baseline["id"] if baseline else "",
        "pipeline_id": verdict["pipeline"]["id"],
        "pipeline_url": verdict["pipeline"]["url"],
        "comment_url": comment_url,
    }
    return {name: " ".join(value.split()) for name, value in values.items()} | {"verdict_json": json.dumps(verdict)}


def _annotate(level: str, text: str) -> None:
    """Log a command, which a runner shows on the run's page; a plain line outside a workflow."""
    text = redaction.outgoing(text)
    if _in_workflow():
        console.log_command(redaction.outgoing(f"::{level}::{_encode(text)}"))
    else:
        console.log(f"{level}: {text}")


def _in_workflow() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _append(variable: str, text: str) -> None:
    if os.environ.get(variable):
        with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
            file.write(text)


def _encode(text: str) -> str:
    """Encode text for a log command: the runner decodes these three."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
