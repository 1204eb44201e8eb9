"""`make faults ONLY=every-request`, in small: one interruption of each step and each job."""

import json
from pathlib import Path

from tests.agents.makefile import Make
from tools.faults.subjects import SUBJECTS


def test_faults__one_request_of_every_step_and_job__interrupted_ends_as_if_run_once(make: Make, clone: Path) -> None:
    printed = make("make faults ONLY=every-request N=19")
    assert printed.splitlines()[-1] == "faults: 19 cases, 0 violations"
    records = json.loads((clone / "build/faults.json").read_text())
    assert {record["subject"] for record in records} == {*SUBJECTS}
