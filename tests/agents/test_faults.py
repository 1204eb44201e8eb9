"""`make faults`, in small: some cases that are always the same, and some interruptions."""

import json
from pathlib import Path

from tests.agents.makefile import Make


def played(make: Make, clone: Path, command: str) -> tuple[str, list[int]]:
    """The last line, and the seeds of the record."""
    printed = make(command)
    records = json.loads((clone / "build/faults.json").read_text())
    return printed.splitlines()[-1], [record["seed"] for record in records]


def test_faults__of_fixed_seeds__violate_nothing(make: Make, clone: Path) -> None:
    last, seeds = played(make, clone, "make faults N=8 SEED=2031")
    assert (last, seeds) == ("faults: 8 cases, 0 violations", list(range(2031, 2039)))


def test_faults__some_requests_of_steps_that_report__interrupted_end_as_if_run_once(make: Make, clone: Path) -> None:
    last, _ = played(make, clone, "make faults ONLY=every-request:report N=6")
    assert last == "faults: 6 cases, 0 violations"
