"""The table of docs/reliability.md: what users see, by the kind of harm and the part of the work."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools.faults import matrix
from tools.faults.catalogue import KINDS, PHASES

PAGE = matrix.ROOT / "docs" / "reliability.md"
RECORD: dict[str, Any] = {
    "seed": 7,
    "kind": "answer lost",
    "phase": "job starts the run",
    "agents": "small",
    "steps_here": True,
    "harmed": True,
    "view": "error",
    "violations": [1],
    "needless_error": True,
    "seconds": 3.0,
}


def rows(page: str) -> list[list[str]]:
    """The cells of each row, blanks aside."""
    lines = [line for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_matrix__every_phase__has_a_column() -> None:
    assert {matrix.part(phase) for phase in PHASES} == set(matrix.PARTS)


def test_matrix__records__a_cell_for_kind_and_part() -> None:
    (row,) = [row for row in rows(matrix.table([RECORD, RECORD])) if row[0] == "answer lost"]
    assert row[matrix.PARTS.index(matrix.START_AND_WAIT) + 1] == "error **!** (2)"


def test_page__table__has_the_kinds_and_parts_of_the_catalogue() -> None:
    head, _, *others = rows(PAGE.read_text(encoding="utf-8"))
    assert head == ["kind", *matrix.PARTS]
    assert [row[0] for row in others] == [kind for kind in KINDS if kind != "none"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "none"])
def test_page__dash__where_the_kind_can_harm_nothing(kind: str) -> None:
    (row,) = [row for row in rows(PAGE.read_text(encoding="utf-8")) if row[0] == kind]
    possible = {part for part, cell in zip(matrix.PARTS, row[1:], strict=True) if cell != matrix.IMPOSSIBLE}
    assert possible == matrix.parts(kind)


def test_write__a_record__replaces_table_and_figures(tmp_path: Path) -> None:
    record, page = tmp_path / "faults.json", tmp_path / "page.md"
    record.write_text(json.dumps([RECORD]))
    shutil.copy(PAGE, page)
    command = [sys.executable, "-m", "tools.faults.matrix", str(record), "--write", str(page)]
    subprocess.run(command, cwd=matrix.ROOT, check=True, capture_output=True)
    text = page.read_text(encoding="utf-8")
    assert "<!-- faults -->\n1 cases (seeds 7), 1 violations; 0 of them on real agents, 1 with the steps in" in text
    assert len(rows(text)) == len(rows(PAGE.read_text(encoding="utf-8")))


def test_ranges__seeds_of_several_sets__are_those_that_were_played() -> None:
    assert matrix.ranges([12, 7, 9, 8]) == "7 to 9, 12"
