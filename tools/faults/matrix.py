"""`python -m tools.faults.matrix [FILE ...]`: kinds of harm by parts of the work, with the users' view, as Markdown.

The files are records of `make faults`, by default that of the last run. `--write PAGE` puts the table into a page,
between `<!-- faults -->` and `<!-- /faults -->`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tools.faults import catalogue
from tools.faults.catalogue import CODE, CONTROLLERS, GITHUB, JOB, KINDS, PHASES, START, Phase
from tools.faults.plan import REAL

ROOT = Path(__file__).parents[2]
RECORD = ROOT / "build/faults.json"
BEFORE, START_AND_WAIT, JOBS_REPORT = "job, before the start", "job, start and wait", "job, its report"
CONTROLLER, STEPS, REPORT, LAUNCHED = "controller", "steps", "report on GitHub", "launched code"
PARTS = (BEFORE, START_AND_WAIT, JOBS_REPORT, CONTROLLER, STEPS, REPORT, LAUNCHED)
IMPOSSIBLE = "-"
_FIRST = {"job reads the policy", "job reads the pull request", "job sets pending"}
_WRITTEN = re.compile(r"(?<=<!-- faults -->\n).*?(?=<!-- /faults -->)", re.DOTALL)
_SHORT = {
    "the verdict": "verdict",
    "the verdict, with a warning": "verdict, warning",
    "status success": "verdict",
    "status failure": "verdict",
    "status error": "error",
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.faults.matrix", description=__doc__)
    parser.add_argument("files", nargs="*", type=Path, default=[RECORD])
    parser.add_argument("--write", type=Path, metavar="PAGE", help="the page to write into: docs/reliability.md")
    options = parser.parse_args()
    records = [record for file in options.files for record in json.loads(file.read_text(encoding="utf-8"))]
    text = f"{figures(records)}\n\n{table(records)}\n"
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(_WRITTEN.sub(lambda _: text, page), encoding="utf-8")
    print(text)


def figures(records: Sequence[Mapping[str, Any]]) -> str:
    """One line: cases, violations, real agents, seconds."""
    violations = sum(len(record["violations"]) for record in records)
    real = sum(record["agents"] == REAL for record in records)
    here = sum(record["steps_here"] for record in records)
    needless = sum(record["needless_error"] for record in records)
    seeds = f"seeds {ranges(record['seed'] for record in records)}"
    average = sum(record["seconds"] for record in records) / len(records)
    return (
        f"{len(records)} cases ({seeds}), {violations} violations; {real} of them on real agents, {here} with "
        "the steps in their controller; "
        f"{needless} ended in an error although a repetition would have passed; {average:.0f} s on average."
    )


def ranges(numbers: Iterable[int]) -> str:
    """`7 to 9, 12`: numbers in order, those that follow each other as one range."""
    ordered = sorted(set(numbers))
    starts = [number for number in ordered if number - 1 not in ordered]
    ends = [number for number in ordered if number + 1 not in ordered]
    return ", ".join(
        f"{first} to {last}" if first < last else str(first) for first, last in zip(starts, ends, strict=True)
    )


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each kind; a cell counts the views, and marks with `!` those that a violation came with."""
    rows = [["kind", *PARTS], ["---"] * (len(PARTS) + 1)]
    for kind in (kind for kind in KINDS if kind != "none"):
        own = [record for record in records if record["kind"] == kind and record["harmed"]]
        views = {name: _cell(record for record in own if part(record["phase"]) == name) for name in parts(kind)}
        rows.append([kind, *(views.get(name, IMPOSSIBLE) for name in PARTS)])
    return "\n".join(f"|{'|'.join(f' {cell} ' if cell else ' ' for cell in row)}|" for row in rows)


def _cell(records: Iterable[Mapping[str, Any]]) -> str:
    views = Counter(
        _SHORT.get(record["view"], record["view"]) + (" **!**" if record["violations"] else "") for record in records
    )
    return "<br>".join(f"{view}{f' ({number})' if number > 1 else ''}" for view, number in views.most_common())


def parts(kind: str) -> set[str]:
    """The parts of the work that a kind of harm can befall."""
    return {part(phase) for phase in catalogue.phases(kind)}


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
