from dataclasses import replace

import pytest

from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.errors import UsageError
from clearml_ci.operations import rerun
from clearml_ci.operations.rerun import Rerun

ARGUMENTS = {"threshold_percent": "3", "goal": "maximize", "run_args": "", "_context": "{}"}
RUN = Run("r", "", "completed", "", ARGUMENTS, "p", "p", "")


@pytest.mark.parametrize(
    ("after", "stamp"),
    [
        ({}, "rerun by Ada with nothing changed"),
        ({"threshold_percent": "5"}, "rerun by Ada with threshold_percent 3 → 5"),
        ({"threshold_percent": " 3 "}, "rerun by Ada with nothing changed"),
        ({"goal": ""}, "rerun by Ada with goal maximize → (empty)"),
        ({"_context": "x", "new": "1"}, "rerun by Ada with nothing changed"),
        ({"run_args": "api_key=0123456789"}, "rerun by Ada with run_args (empty) → api_key=***"),
        ({"goal": "x" * 99}, f"rerun by Ada with goal maximize → {'x' * 39}…"),
    ],
    ids=["same", "edited", "spaces", "emptied", "hidden-or-new", "secret", "long"],
)
def test_stamp__parameters_of_the_rerun__are_told_against_the_originals(after: dict[str, str], stamp: str) -> None:
    changes = rerun.changes(RUN.arguments, {**RUN.arguments, **after})
    assert Rerun(RUN, "Ada", tuple(changes)).stamp == stamp


def test_stamp__many_changes__names_five() -> None:
    assert Rerun(RUN, "", tuple("abcdefg")).stamp == "rerun by an unknown user with a, b, c, d, e, 2 more"


def test_edits__name_and_value__may_hold_anything() -> None:
    assert rerun.edits(RUN, ["threshold_percent=5", "goal=a=b"]) == {"threshold_percent": "5", "goal": "a=b"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("threshold=5", "no parameter 'threshold'; did you mean 'threshold_percent'?"),
        ("_context={}", "no parameter '_context'"),
        ("threshold_percent", "'threshold_percent' is no name=value"),
    ],
    ids=["unknown", "hidden", "no-value"],
)
def test_edits__that_the_run_does_not_have__are_refused(given: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        rerun.edits(RUN, [given])
    assert message in str(raised.value)


@pytest.mark.parametrize("name", ["scalar_title", "scalar_series", "goal", "threshold_percent"])
def test_edits__of_one_gate_where_the_run_has_a_list__are_refused(name: str) -> None:
    listed = replace(RUN, arguments={name: "", "_context": "{}", "gates": "[{}]"})
    with pytest.raises(UsageError, match=f"^{name} has no effect: this run's gates are in `gates`; edit that$"):
        rerun.edits(listed, [f"{name}=5"])
    assert rerun.edits(listed, [f"{name}=5", "gates="]) == {name: "5", "gates": ""}
