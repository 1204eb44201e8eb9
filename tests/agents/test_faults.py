"""`make faults`, in small: cases that are always the same. Its other parts are files of their own, beside it."""

import json
from pathlib import Path

from tests.agents.makefile import Make


def test_faults__of_a_fixed_seed__violate_nothing(make: Make, clone: Path) -> None:
    printed = make("make faults SEED=2026")
    assert printed.splitlines()[-1] == "faults: 40 cases, 0 violations"
    records = json.loads((clone / "build/faults.json").read_text())
    assert [record["seed"] for record in records] == list(range(2026, 2066))
