"""The state that a run leaves, without ids and times, and in what two such states differ. Pure."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tools.faults.truth import Record, World

Digest = Mapping[str, Sequence[str]]
SHOWN = 6  # changed lines
# Two runs instead of one leave more tasks and verdicts: of a job that was started again only the rest is compared.
OF_JOBS = ("statuses", "comments", "issues")
_ID = re.compile(r"\b(?:[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{7,10})\b")
_SECONDS = re.compile(r"\b\d+(\.\d+)? s\b")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+Z]+")
_HOST = re.compile(r"http://127\.0\.0\.1:\d+")


def of(world: World) -> Digest:
    """The present state, whose parts must not depend on how often a job or a step was interrupted."""
    commits, tasks = world.commits.values(), world.tasks
    return {
        "statuses": sorted(_plain(_latest(commit["statuses"])) for commit in commits),
        "check runs": sorted(_plain([_check_run(run) for run in commit["check_runs"]]) for commit in commits),
        "comments": sorted(_plain(comment["body"]) for pull in world.pulls for comment in pull["comments"]),
        "issues": sorted(_plain([issue["state"], issue["title"], issue["body"]]) for issue in world.issues),
        "tasks": sorted(_plain(_task(task)) for task in tasks),
        "ledger": sorted(_plain(ledger["value"]) for ledger in map(_ledger, tasks) if ledger),
        "verdicts": sorted(_verdict(task["files"]["verdict"]) for task in tasks if "verdict" in task["files"]),
    }


def differences(clean: Digest, interrupted: Digest, parts: Sequence[str] = ()) -> Iterator[str]:
    """One sentence for each part that differs; of these parts alone, if some are named."""
    for part, texts in clean.items():
        if part in (parts or clean) and texts != interrupted[part]:
            yield f"{part} differ: {_changed_lines(texts, interrupted[part])}"


def _changed_lines(clean: Sequence[str], interrupted: Sequence[str]) -> str:
    """`- line of the clean run`, `+ line of the interrupted one`."""
    before, after = ("\n".join(texts).splitlines() for texts in (clean, interrupted))
    changed = [line for line in difflib.ndiff(before, after) if line[0] in "+-"]
    shown = "; ".join(line.strip()[:160] for line in changed[:SHOWN])
    return f"{shown}; and {len(changed) - SHOWN} more lines" if len(changed) > SHOWN else shown


def _latest(statuses: Sequence[Record]) -> list[str]:
    return [statuses[0]["state"], statuses[0]["description"] or ""] if statuses else []


def _check_run(run: Record) -> list[Any]:
    return [run["name"], run["status"], run["conclusion"], run["output"]["title"]]


def _task(task: Record) -> list[Any]:
    purpose = (task.get("runtime") or {}).get("clearml_ci_purpose")
    archived = "archived" in (task.get("system_tags") or [])
    return [task["type"], task["name"], task["status"], purpose, sorted(task.get("tags") or []), archived]


def _ledger(task: Record) -> Record:
    return (task.get("configuration") or {}).get("ledger") or {}


def _verdict(text: str) -> str:
    """Without what was measured: requests and seconds."""
    document = json.loads(text)
    document.pop("clearml_requests", None)
    if document.get("remote_run"):
        document["remote_run"].pop("seconds", None)
    return _plain(json.dumps(document, indent=1, ensure_ascii=False))


def _plain(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    for pattern, instead in ((_TIME, "TIME"), (_HOST, "HOST"), (_ID, "ID"), (_SECONDS, "N s")):
        text = pattern.sub(instead, text)
    return text
