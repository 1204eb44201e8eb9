"""The table of outcomes: each member has its meaning, and what has none does not load."""

from pathlib import Path

import pytest

from clearml_ci.core import outcome as outcomes
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.report import comment

SOURCE = Path(outcomes.__file__).read_text(encoding="utf-8")


def test_outcome__new_one_without_a_meaning__does_not_load() -> None:
    extended = SOURCE.replace('ERROR = "error"\n', 'ERROR = "error"\n    NEW = "new"\n', 1)
    with pytest.raises(KeyError, match="NEW"):
        exec(compile(extended, "outcome.py", "exec"), {"__name__": "extended"})  # noqa: S102  our own file


def test_rank__outcomes_that_fail__come_before_those_that_hold_the_worst_first() -> None:
    failing = [Outcome.ERROR, Outcome.NO_EVIDENCE, Outcome.REGRESSED, Outcome.INCONCLUSIVE]
    assert sorted(Outcome, key=lambda outcome: outcome.rank)[: len(failing)] == failing
    assert {*failing} == {*Outcome} - HOLDS


def test_headlines__of_the_comment__are_there_for_each() -> None:
    assert comment.HEADLINES.keys() == {*Outcome}
