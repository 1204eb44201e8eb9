"""`make faults`, in small: ten cases that are others each time."""

import json
from pathlib import Path

from tests.agents.makefile import Make


def test_faults__of_a_fresh_seed__violate_nothing(make: Make, clone: Path) -> None:
    printed = make("make faults N=10")
    assert printed.splitlines()[-1] == "faults: 10 cases, 0 violations"
    records = json.loads((clone / "build/faults.json").read_text())
    assert len({record["seed"] for record in records}) == 10
