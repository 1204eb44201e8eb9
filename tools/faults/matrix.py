"""`python -m tools.faults.matrix [FILE ...]`: kinds of harm by parts of the work, with the users' view, as Markdown."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.faults.catalogue import CODE, CONTROLLERS, GITHUB, JOB, KINDS, PHASES, START, Phase

RECORD = Path(__file__).parents[2] / "build/faults.json"
BEFORE, START_AND_WAIT, JOBS_REPORT = "job, before the start", "job, start and wait", "job, its report"
CONTROLLER, STEPS, REPORT, LAUNCHED = "controller", "steps", "report on GitHub", "launched code"
PARTS = (BEFORE, START_AND_WAIT, JOBS_REPORT, CONTROLLER, STEPS, REPORT, LAUNCHED)
_FIRST = {"job reads the policy", "job reads the pull request", "job sets pending"}


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]] or [RECORD]
    print(table([record for file in files for record in json.loads(file.read_text())]))


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each kind; a cell counts the views, and marks with `!` those that a violation came with."""
    rows = [["kind", *PARTS], ["---"] * (len(PARTS) + 1)]
    for kind in (kind for kind in KINDS if kind != "none"):
        own = [record for record in records if record["kind"] == kind and record["harmed"]]
        rows.append([kind, *(_cell(record for record in own if part(record["phase"]) == name) for name in PARTS)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(records: Iterable[Mapping[str, Any]]) -> str:
    views = Counter(record["view"] + (" **!**" if record["violations"] else "") for record in records)
    return "<br>".join(f"{view}{f' ({number})' if number > 1 else ''}" for view, number in views.most_common())


def part(phase: str) -> str:
    """The part of the work that a phase belongs to."""
    return _part(phase, PHASES[phase])


def _part(name: str, phase: Phase) -> str:
    if phase.actor == JOB:
        if name in _FIRST or not (phase.service == GITHUB or START in (*phase.operations, phase.after)):
            return BEFORE
        return JOBS_REPORT if phase.service == GITHUB else START_AND_WAIT
    if phase.actor in (CONTROLLERS, CODE):
        return CONTROLLER if phase.actor == CONTROLLERS else LAUNCHED
    return REPORT if phase.service == GITHUB else STEPS


if __name__ == "__main__":
    main()
