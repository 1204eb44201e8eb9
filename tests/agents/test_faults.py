"""`make faults`, in small: some cases that are always the same, and some interruptions."""

import json
from pathlib import Path

from tests.agents.makefile import Make


def test_faults__of_fixed_seeds__violate_nothing(make: Make, clone: Path) -> None:
    printed = make("make faults N=8 SEED=2031")
    assert printed.splitlines()[-1] == "faults: 8 cases, 0 violations"
    records = json.loads((clone / "build/faults.json").read_text())
    assert [record["seed"] for record in records] == list(range(2031, 2039))


def test_faults__some_requests_of_steps_that_report__interrupted_end_as_if_run_once(make: Make) -> None:
    printed = make("make faults ONLY=every-request:report N=6")
    assert printed.splitlines()[-1] == "faults: 6 cases, 0 violations"
