from typing import Any

import pytest

from clearml_ci.clearml_api import pipeline_runs, run_results

FIRST: dict[str, Any] = {"id": "find_task", "user": {"id": "ci", "name": "CI"}}


@pytest.mark.parametrize(
    ("others", "kept"),
    [
        pytest.param([], ["find_task"], id="one-step"),
        pytest.param([{"id": "compare", "user": {"id": "ci"}}], ["find_task", "compare"], id="the-controllers"),
        pytest.param([{"id": "compare", "user": "ci"}], ["find_task", "compare"], id="id-without-a-name"),
        pytest.param([{"id": "forged", "user": {"id": "code"}}], ["find_task"], id="made-by-pull-request-code"),
        pytest.param([{"id": "forged"}], ["find_task"], id="of-no-user"),
    ],
)
def test_of_controller__marked_steps__are_those_of_the_first_ones_user(
    others: list[dict[str, Any]], kept: list[str]
) -> None:
    assert [step["id"] for step in run_results.of_controller([FIRST, *others])] == kept
    assert run_results.of_controller([]) == []


def test_of_newest_execution__run_that_was_reset__leaves_out_the_steps_of_the_earlier_one() -> None:
    first, second = ({"runtime": {pipeline_runs.EXECUTION: key}} for key in ("first", "second"))
    steps: list[dict[str, Any]] = [
        {"id": "old", **first},
        {"id": "older version", "runtime": None},
        {"id": "new", **second},
    ]
    assert [step["id"] for step in run_results.of_newest_execution(steps)] == ["new"]
    assert [step["id"] for step in run_results.of_newest_execution(steps[:2])] == ["older version"]
    assert run_results.of_newest_execution([]) == []
