"""What a GitHub workflow's job sees: the log with its commands, the outputs, and the job summary."""

import json
import os
from pathlib import Path

from clearml_ci import github_gateway, markdown
from clearml_ci.github_gateway import GitHubError
from clearml_ci.settings import Settings
from clearml_ci.verdict import OUTCOMES, Document


def say(line: str) -> None:
    """A line of the job's log, at once."""
    print(line, flush=True)  # noqa: T201  the job's log is where the progress shows


def warn(text: str) -> None:
    """A `::warning::` in the log and on the run's page."""
    say(f"::warning::ClearML CI: {_encode(text)}")


def fail(reason: str) -> None:
    """One line that says what happened and what to do, where there is no verdict document."""
    say(f"::error::ClearML CI: {_encode(reason)}")
    _append("GITHUB_OUTPUT", f"outcome=error\nexit_reason={' '.join(reason.split())}\n")


def set_status(settings: Settings, *, state: str, description: str, url: str, commit: str = "") -> None:
    """The job's own word on a commit, by default the checked one; where it is refused, the job's result must do."""
    if not settings.github_token:
        return
    pull, commit = settings.check.pull_request, commit or settings.check.commit
    try:
        hub = github_gateway.connect(api_url=pull.github_api, token=settings.github_token, repository=pull.repository)
        github_gateway.set_status(hub, commit=commit, state=state, description=description, url=url)
    except GitHubError as error:
        warn(str(error))


def conclude(verdict: Document, *, comment_url: str) -> None:
    """The verdict in the log, in the job's outputs and in its summary."""
    level = "notice" if OUTCOMES[verdict["outcome"]].exit_code == 0 else "error"
    say(f"::{level}::" + _encode(f"{markdown.headline(verdict)}: {verdict['exit_reason']}"))
    values = outputs(verdict, comment_url=comment_url)
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in values.items()))
    _append("GITHUB_STEP_SUMMARY", markdown.comment(verdict, []))


def outputs(verdict: Document, *, comment_url: str) -> dict[str, str]:
    """The job's outputs: one line each, so that no text can add an output of its own."""
    candidate, baseline = verdict["candidate"] or {}, verdict["baseline"] or {}
    values = {
        "outcome": verdict["outcome"],
        "exit_reason": verdict["exit_reason"],
        "task_id": candidate.get("id", ""),
        "task_url": candidate.get("url", ""),
        "baseline_task_id": baseline.get("id", ""),
        "pipeline_id": verdict["pipeline"]["id"],
        "pipeline_url": verdict["pipeline"]["url"],
        "comment_url": comment_url,
        "verdict_json": json.dumps(verdict),
    }
    return {name: " ".join(value.split()) for name, value in values.items()}


def _append(variable: str, text: str) -> None:
    if os.environ.get(variable):
        with Path(os.environ[variable]).open("a", encoding="utf-8") as file:
            file.write(text)


def _encode(text: str) -> str:
    """Text for a log command: the runner decodes these three."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
