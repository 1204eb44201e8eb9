"""`make faults`, in small: 40 cases that are always the same, 10 that nobody has played yet, and some interruptions."""

import json
from pathlib import Path

from tests.agents.makefile import Make
from tools.faults.subjects import SUBJECTS


def played(make: Make, clone: Path, command: str) -> tuple[str, list[int]]:
    """The last line, and the seeds of the record."""
    printed = make(command)
    records = json.loads((clone / "build/faults.json").read_text())
    return printed.splitlines()[-1], [record["seed"] for record in records]


def test_faults__of_a_fixed_seed__violate_nothing(make: Make, clone: Path) -> None:
    last, seeds = played(make, clone, "make faults SEED=2026")
    assert (last, seeds) == ("faults: 40 cases, 0 violations", list(range(2026, 2066)))


def test_faults__of_a_fresh_seed__violate_nothing(make: Make, clone: Path) -> None:
    last, seeds = played(make, clone, "make faults N=10")
    assert last == "faults: 10 cases, 0 violations"
    assert len(set(seeds)) == 10


def test_faults__some_requests_of_every_step_and_job__interrupted_end_as_if_run_once(make: Make, clone: Path) -> None:
    printed = make("make faults ONLY=every-request N=19")
    assert printed.splitlines()[-1] == "faults: 19 cases, 0 violations"
    records = json.loads((clone / "build/faults.json").read_text())
    assert {record["subject"] for record in records} == {*SUBJECTS}
