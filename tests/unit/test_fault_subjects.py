from pathlib import Path

import pytest

from tools.faults import interruptions
from tools.faults.subjects import SUBJECTS, THE_JOB, Cut

STEPS = {file.stem for file in (Path(__file__).parents[2] / "steps").glob("[a-z]*.py")}


def test_subjects__every_step_and_the_job__is_interrupted() -> None:
    assert {subject.step for subject in SUBJECTS.values()} == {*STEPS, THE_JOB}


def test_subjects__every_interrupted_step__is_one_of_its_plan() -> None:
    for name, subject in SUBJECTS.items():
        assert subject.step in (*subject.plan, THE_JOB), name


@pytest.mark.parametrize(
    ("most", "numbers"),
    [(None, [1, 1, 2, 2, 1, 1]), (2, [2, 1]), (9, [1, 1, 2, 2, 1, 1])],
    ids=["all", "some", "more-than-there-are"],
)
def test_spread__so_many_cuts__evenly(most: int | None, numbers: list[int]) -> None:
    cuts = [Cut(name, number, when) for name, count in (("a", 2), ("b", 1)) for number in range(1, count + 1)
            for when in ("before", "after")]  # fmt: skip
    assert [cut.number for cut in interruptions.spread(cuts, most)] == numbers
