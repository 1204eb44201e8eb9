"""The actions of the pipeline `promote`, and the modes in which the tag of the baseline moves."""

from collections.abc import Mapping

PIPELINE = "promote"


BETTER, PASSING, ON_PASS = MODES = ("better", "passing", "on-pass")


ACTIONS = PROMOTE, ROLLBACK = ("promote", "rollback")


def plan(arguments: Mapping[str, str]) -> dict[str, list[str]]:  # noqa: ARG001  every run has the same two steps
    """The steps of the pipeline `promote`, each with those that it waits for."""
    return {"promote": [], "report": ["promote"]}
