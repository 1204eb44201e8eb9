from dataclasses import replace

import pytest

from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.core.errors import UsageError
from clearml_ci.operations import rerun
from clearml_ci.operations.rerun import Rerun
from clearml_ci.parameters import run_arguments

ARGUMENTS = {"threshold_percent": "3", "goal": "maximize", "run_args": "", "_context": "{}"}
RUN = Run("r", "", "completed", "", ARGUMENTS, "p", "p", "")


CONTEXT = {"_context": '{"base": "main", "repositories": []}', "_name": ""}


def stamp(*changes: str, by: str = "Ada", before: dict[str, str] | None = RUN.arguments) -> str:
    return Rerun("first", by, changes, before, {}).stamp


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({}, "rerun by Ada with nothing changed"),
        ({"threshold_percent": "5"}, "rerun by Ada with threshold_percent 3 → 5"),
        ({"threshold_percent": " 3 "}, "rerun by Ada with nothing changed"),
        ({"goal": ""}, "rerun by Ada with goal maximize → (empty)"),
        ({"new": "1"}, "rerun by Ada with nothing changed"),
        ({"_start": "another request"}, "rerun by Ada with nothing changed"),
        ({"inconclusive": "fail"}, "rerun by Ada with nothing changed"),
        ({"inconclusive": "pass"}, "rerun by Ada with inconclusive fail → pass"),
        ({"_name": "other"}, "rerun by Ada with _name (empty) → other"),
        ({"_context": '{"base": "x", "repositories": []}'}, "rerun by Ada with _context.base main → x"),
        (
            {"_context": '{"repositories": ["u"]}'},
            'rerun by Ada with _context.repositories [] → ["u"], _context.base main → (empty)',
        ),
        (
            {"_context": "x"},
            "rerun by Ada with _context (empty) → x, _context.base main → (empty), _context.repositories [] → (empty)",
        ),
        ({"run_args": "api_key=0123456789"}, "rerun by Ada with run_args (empty) → api_key=***"),
        ({"goal": "x" * 99}, f"rerun by Ada with goal maximize → {'x' * 39}…"),
    ],
    ids=[
        *("same", "edited", "spaces", "emptied", "unknown", "key-of-the-request", "default", "no-default", "name"),
        *("context", "context-lacks", "context-broken", "secret", "long"),
    ],
)
def test_stamp__parameters_of_the_rerun__are_told_against_the_originals(after: dict[str, str], said: str) -> None:
    before = {**RUN.arguments, **CONTEXT}
    assert stamp(*rerun.changes(before, {**before, **after})) == said


def test_changes__parameter_that_the_rerun_lacks__has_its_default() -> None:
    assert rerun.changes({"goal": "minimize", "inconclusive": "fail"}, {}) == ["goal minimize → maximize"]


def test_stamp__many_changes__names_five() -> None:
    assert stamp(*"abcdefg", by="") == "rerun by an unknown user with a, b, c, d, e, 2 more"


def test_stamp__original_unknown__does_not_say_that_nothing_was_changed() -> None:
    assert stamp(before=None) == "rerun by Ada with changes that are unknown"


@pytest.mark.parametrize("context", ["", "{", "[]", "[" * 99_999, '{"a":' * 99_999, '{"started_with": []}'])
def test_started_with__context_that_no_job_wrote__is_unknown(context: str) -> None:
    assert run_arguments.started_with({"_context": context}) is None


def test_started_with__clone_of_a_job_s_run__is_what_the_job_gave() -> None:
    given = {"goal": "maximize", **CONTEXT}
    assert run_arguments.started_with({**run_arguments.with_start(given), "goal": "minimize"}) == given


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


@pytest.mark.parametrize("name", ["scalar_title", "scalar_series", "goal"])
def test_edits__of_one_gate_where_the_run_has_a_list__are_refused(name: str) -> None:
    listed = replace(RUN, arguments={name: "", "_context": "{}", "gates": "[{}]"})
    with pytest.raises(UsageError, match=f"^{name} has no effect: this run's gates are in `gates`; edit that$"):
        rerun.edits(listed, [f"{name}=5"])
    assert rerun.edits(listed, [f"{name}=5", "gates="]) == {name: "5", "gates": ""}


def test_edits__of_what_a_rerun_keeps__are_refused() -> None:
    check = replace(RUN, arguments={"pull_request": "1", "_context": "{}"})
    with pytest.raises(
        UsageError, match=r"^pull_request has no effect: a rerun has that of its first run; leave it out$"
    ):
        rerun.edits(check, ["pull_request=2"])
    promotion = replace(check, arguments={**check.arguments, "action": "promote"})
    assert rerun.edits(promotion, ["pull_request=2"]) == {"pull_request": "2"}
