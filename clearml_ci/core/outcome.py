"""The outcomes of gates, launches and verdicts, and what each means to the job, to GitHub and to a reader."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

State = Literal["success", "failure", "error"]


class Outcome(str, Enum):
    """One outcome; JSON carries its text."""

    PASSED = "passed"
    IMPROVED = "improved"
    REGRESSED = "regressed"
    NO_EVIDENCE = "no_evidence"
    NO_BASELINE = "no_baseline"
    ACCEPTED = "accepted"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"

    __str__ = str.__str__  # the text, and not the member's name

    def __format__(self, format_spec: str) -> str:
        """The text in every Python: 3.12 would format the member's name."""
        return str.__format__(self, format_spec)

    @property
    def words(self) -> str:
        """`no evidence`, as a reader sees it."""
        return self.replace("_", " ")

    @property
    def exit_code(self) -> int:
        """The job's exit code."""
        return _MEANINGS[self].exit_code

    @property
    def state(self) -> State:
        """The commit status's state."""
        return _MEANINGS[self].state

    @property
    def sign(self) -> str:
        """The sign at the head of a comment or an issue."""
        return _MEANINGS[self].sign

    @property
    def rank(self) -> int:
        """The place among all outcomes, the worst of which has 0."""
        return [*_MEANINGS].index(self)


@dataclass(frozen=True)
class _Meaning:
    exit_code: int
    state: State
    sign: str


# The worst stands first: if there are several, it counts.
_MEANINGS = {
    Outcome.ERROR: _Meaning(4, "error", "⚠️"),
    Outcome.NO_EVIDENCE: _Meaning(1, "failure", "❌"),
    Outcome.REGRESSED: _Meaning(1, "failure", "❌"),
    Outcome.INCONCLUSIVE: _Meaning(3, "failure", "❓"),
    Outcome.ACCEPTED: _Meaning(0, "success", "🤝"),
    Outcome.PASSED: _Meaning(0, "success", "✅"),
    Outcome.IMPROVED: _Meaning(0, "success", "🏆"),
    Outcome.NO_BASELINE: _Meaning(0, "success", "🌱"),
}


HOLDS: Final = frozenset(outcome for outcome in Outcome if _MEANINGS[outcome].exit_code == 0)  # of a gate: it holds


NOT_NEEDED: Final = "not_needed"  # of a launch that did not have to be made


LaunchState = Outcome | Literal["not_needed"]
