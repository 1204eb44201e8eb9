"""The actions of the pipeline `promote`, and the modes in which the tag of the baseline moves."""

from collections.abc import Mapping

PIPELINE = "promote"


MODES = BETTER, PASSING, ON_PASS = ("better", "passing", "on-pass")


ACTIONS = PROMOTE, ROLLBACK = ("promote", "rollback")


UNDOES = "_undoes"  # a hidden parameter of a rollback: the run whose move it undoes


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:  # noqa: ARG001  every run has the same two steps
    """The steps of the pipeline `promote`, each with those that it waits for."""
    return {"promote": [], "report": ["promote"]}
