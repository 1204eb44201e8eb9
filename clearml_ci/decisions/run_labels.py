"""The name and the tags of a run: what ClearML's list of runs shows of it.

A clone copies the tags of its source, so those of this vocabulary are put in order; users' own tags stay.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clearml_ci.core import redaction
from clearml_ci.core.formatting import listed
from clearml_ci.core.outcome import Outcome
from clearml_ci.parameters import audit, promotion_mode, run_arguments, texts
from clearml_ci.parameters.check import NAME

RERUN, TEMPLATE = "rerun", "template"


OUTCOMES = frozenset(outcome.words for outcome in Outcome)


_PULL_REQUEST = re.compile(r"PR \d+")


_LONGEST_PART = 40  # characters of a title, and of an audit's projects


_DONE = {promotion_mode.PROMOTE: " merged", promotion_mode.ROLLBACK: " rolled back"}


@dataclass(frozen=True)
class Labels:
    """The name of a run, and its tags of this vocabulary before it has an outcome."""

    name: str
    tags: tuple[str, ...]


def of(pipeline: str, arguments: Mapping[str, str], *, date: str, rerun: bool) -> Labels:
    """The labels of a run of this pipeline with these `Args`, which may hold any text; `date` is that of its start."""
    pull_request = "" if pipeline == audit.PIPELINE else _pull_request(arguments)
    parts = _of_audit(arguments, date) if pipeline == audit.PIPELINE else _of_check(arguments, pull_request)
    name = " · ".join([part for part in parts if part] + [RERUN] * rerun)
    return Labels(name, tuple([pull_request] * bool(pull_request) + [RERUN] * rerun))


def stale(tags: Iterable[str], current: Iterable[str]) -> list[str]:
    """Those of a run's tags that belong to this vocabulary and are not among its `current` ones."""
    return sorted({tag for tag in tags if _is_ours(tag)} - {*current})


def _is_ours(tag: str) -> bool:
    return tag in (RERUN, TEMPLATE) or tag in OUTCOMES or bool(_PULL_REQUEST.fullmatch(tag))


def _of_audit(arguments: Mapping[str, str], date: str) -> list[str]:
    projects = listed(texts.names(arguments.get("projects", "")), most=2, separator=", ")
    return [f"Audit{_named(arguments)}", redaction.line(projects, _LONGEST_PART), date]


def _of_check(arguments: Mapping[str, str], pull_request: str) -> list[str]:
    """Pull request, title and commit; after a merge, the commit that the merge made."""
    title = run_arguments.text_in(run_arguments.parsed(arguments.get(run_arguments.CONTEXT, "")) or {}, "title")
    done = _DONE.get(arguments.get("action", "").strip().lower(), "")
    commit = (arguments.get("merge_commit", "") or arguments.get("commit", "")) if done else arguments.get("commit", "")
    return [
        f"{pull_request or 'Check'}{done}{_named(arguments)}",
        redaction.line(title, _LONGEST_PART),
        redaction.line(commit.strip()[:7], 7),
    ]


def _pull_request(arguments: Mapping[str, str]) -> str:
    number = arguments.get("pull_request", "").strip()
    return f"PR {number}" if re.fullmatch(r"[1-9][0-9]{0,9}", number) else ""


def _named(arguments: Mapping[str, str]) -> str:
    """` (digits)`: the name of the check, if its repository has several."""
    name = redaction.line(arguments.get(NAME, ""), _LONGEST_PART)
    return f" ({name})" if name else ""
