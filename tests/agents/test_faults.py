"""`make faults`, in small: cases that are always the same, new ones each time, and some interruptions.

Each case is a test, although one command plays several: pytest begins early with files of many tests, and this one
takes long.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents.makefile import Make

FIXED = range(14081, 14101)  # each kind of harm to GitHub and to processes; the fresh ones are of any kind
FRESH = 6
CUTS = 4
Records = list[dict[str, Any]]


def played(make: Make, clone: Path, command: str) -> Records:
    """The record of each case. A violation is in the output of a command that fails."""
    make(command)
    records: Records = json.loads((clone / "build/faults.json").read_text())
    return records


@pytest.fixture(scope="module")
def fixed(make: Make, clone: Path) -> Records:
    return played(make, clone, "make faults SEED=14081 N=20")


@pytest.fixture(scope="module")
def fresh(make: Make, clone: Path) -> Records:
    return played(make, clone, f"make faults N={FRESH}")


@pytest.fixture(scope="module")
def interrupted(make: Make, clone: Path) -> Records:
    return played(make, clone, "make faults ONLY=every-request:report N=4")


@pytest.mark.parametrize("seed", FIXED)
def test_case__of_a_fixed_seed__violates_nothing(fixed: Records, seed: int) -> None:
    assert len(fixed) == len(FIXED)
    (case,) = [record for record in fixed if record["seed"] == seed]
    assert case["violations"] == []


@pytest.mark.parametrize("number", range(FRESH))
def test_case__of_a_fresh_seed__violates_nothing(fresh: Records, number: int) -> None:
    assert len({record["seed"] for record in fresh}) == FRESH
    assert fresh[number]["violations"] == []


@pytest.mark.parametrize("number", range(CUTS))
def test_report__interrupted_at_a_request__ends_as_if_it_had_run_once(interrupted: Records, number: int) -> None:
    assert len({record["title"] for record in interrupted}) == CUTS
    assert interrupted[number]["violations"] == []
