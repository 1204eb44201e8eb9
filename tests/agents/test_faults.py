"""`make faults`, in small: cases that are always the same, new ones each time, and some interruptions."""

import json
from pathlib import Path
from typing import Any

from tests.agents.makefile import Make
from tools.faults.subjects import SUBJECTS


def played(make: Make, clone: Path, command: str) -> tuple[str, list[dict[str, Any]]]:
    """The last line, and the record of each case."""
    printed = make(command)
    return printed.splitlines()[-1], json.loads((clone / "build/faults.json").read_text())


def test_faults__of_a_fixed_seed__violate_nothing(make: Make, clone: Path) -> None:
    last, records = played(make, clone, "make faults SEED=14015")
    assert last == "faults: 40 cases, 0 violations"
    assert [record["seed"] for record in records] == list(range(14015, 14055))


def test_faults__of_a_fresh_seed__violate_nothing(make: Make, clone: Path) -> None:
    last, records = played(make, clone, "make faults N=10")
    assert last == "faults: 10 cases, 0 violations"
    assert len({record["seed"] for record in records}) == 10


def test_faults__one_request_of_every_step_and_job__interrupted_ends_as_if_run_once(make: Make, clone: Path) -> None:
    last, records = played(make, clone, "make faults ONLY=every-request N=21")
    assert last == "faults: 21 cases, 0 violations"
    assert {record["subject"] for record in records} == {*SUBJECTS}
