from dataclasses import replace

import pytest

from clearml_ci import check
from clearml_ci.errors import UsageError
from tests.unit.drawing import CHECK, METRIC


def test_from_arguments__what_to_arguments_wrote__is_the_same_check() -> None:
    assert check.from_arguments(CHECK.to_arguments()) == CHECK


def test_from_arguments__no_metric__compares_nothing() -> None:
    bare = replace(CHECK, metric=None, task_name="", project="")
    assert check.from_arguments(bare.to_arguments()) == bare


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"commit": ""}, "commit is empty"),
        ({"commit": "main"}, "commit is 'main': expected the 40 hexadecimal digits"),
        ({"commit": "a" * 39}, "expected the 40 hexadecimal digits"),
        ({"commit": ".*" + "a" * 38}, "expected the 40 hexadecimal digits"),
        ({"threshold_percent": "three"}, "threshold is 'three'"),
        ({"threshold_percent": "-1"}, "threshold is '-1'"),
        ({"threshold_percent": "nan"}, "threshold is 'nan'"),
        ({"threshold_percent": "inf"}, "threshold is 'inf'"),
        ({"goal": "UP"}, "goal is 'UP': expected MAX"),
        ({"scalar_series": ""}, "set both, or neither"),
        ({"pull_request": "x"}, "pull_request is 'x'"),
        ({"pull_request": "0"}, "pull_request is '0'"),
        ({"_context": "no json"}, "_context is not what ci_trigger.py writes"),
        ({"_context": '{"repositories": null}'}, "_context is not what ci_trigger.py writes"),
        ({"best_tag": "-Best"}, "best_tag is '-Best': a tag must not begin with '-'"),
        ({"best_tag": "__$not"}, "best_tag is '__$not'"),
    ],
)
def test_from_arguments__edited_badly__names_the_parameter(edit: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check.from_arguments({**CHECK.to_arguments(), **edit})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("edit", "metric"),
    [
        ({"threshold_percent": "5%"}, replace(METRIC, threshold_percent=5.0)),
        ({"threshold_percent": ""}, replace(METRIC, threshold_percent=0.0)),
        ({"goal": "min"}, replace(METRIC, goal="minimize")),
        ({"goal": ""}, METRIC),
    ],
)
def test_from_arguments__strings_of_the_web_ui__are_cast(edit: dict[str, str], metric: check.Metric) -> None:
    assert check.from_arguments({**CHECK.to_arguments(), **edit}).metric == metric


FIND, RUN_IT, BOTH = (
    {"candidate": "find"},
    {"run_until": "first-iteration"},
    {"scalar_title": "a", "scalar_series": "b"},
)


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (FIND, {"find_task": [], "report": ["find_task"]}),
        (FIND | BOTH, {"find_task": [], "compare": ["find_task"], "report": ["compare"]}),
        (
            FIND | BOTH | RUN_IT,
            {"find_task": [], "remote_run": [], "compare": ["find_task"], "report": ["remote_run", "compare"]},
        ),
        ({"candidate": "none"} | BOTH | RUN_IT, {"remote_run": [], "report": ["remote_run"]}),
        ({"candidate": "train"} | BOTH, {"remote_run": [], "compare": ["remote_run"], "report": ["compare"]}),
        (
            {"candidate": "find-or-train"} | BOTH,
            {
                "find_task": [],
                "remote_run": ["find_task"],
                "compare": ["find_task", "remote_run"],
                "report": ["compare"],
            },
        ),
        ({}, {"find_task": [], "report": ["find_task"]}),
        ({"candidate": "nonsense"}, {"find_task": [], "report": ["find_task"]}),
    ],
    ids=["find", "find-compare", "probe-beside", "probe-alone", "train", "find-or-train", "empty", "nonsense"],
)
def test_plan__of_arguments__leaves_out_what_is_not_needed(
    arguments: dict[str, str], steps: dict[str, list[str]]
) -> None:
    assert check.plan(arguments) == steps
