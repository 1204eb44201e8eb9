import re
from dataclasses import fields, replace

import pytest

from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.parameters import check, pull_request, run_arguments
from clearml_ci.parameters.remote_run import RemoteRun
from pipelines import pr_check, promote
from tests.unit.drawing import CHECK, GATE

BY_THE_JOB = {
    "_controller_queue",
    "_steps_queue",
    "_origin",
    "_deadline",
    "_start",
    "_undoes",
}  # Args that the job adds


def test_from_arguments__what_to_arguments_wrote__is_the_same_check() -> None:
    assert check.from_arguments(CHECK.to_arguments()) == CHECK


def test_from_arguments__no_gate__compares_nothing() -> None:
    bare = replace(CHECK, gates=(), task_name="", project="")
    assert check.from_arguments(bare.to_arguments()) == bare


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"commit": ""}, "commit is empty"),
        ({"commit": "main"}, "commit is 'main': expected the 40 hexadecimal digits"),
        ({"commit": "a" * 39}, "expected the 40 hexadecimal digits"),
        ({"commit": ".*" + "a" * 38}, "expected the 40 hexadecimal digits"),
        ({"threshold_percent": "three"}, "threshold_percent is 'three'"),
        ({"threshold_percent": "-1"}, "threshold_percent is '-1'"),
        ({"threshold_percent": "nan"}, "threshold_percent is 'nan'"),
        ({"threshold_percent": "inf"}, "threshold_percent is 'inf'"),
        ({"goal": "UP"}, "goal is 'UP': expected MAX"),
        ({"scalar_series": ""}, "set both, or neither"),
        ({"pull_request": "x"}, "pull_request is 'x'"),
        ({"pull_request": "0"}, "pull_request is '0'"),
        ({"pull_request": "9" * 6000}, f"pull_request is '{'9' * 60}'"),
        ({"_context": "no json"}, "_context is not what ci_trigger.py writes"),
        ({"_context": '{"repositories": null}'}, "_context is not what ci_trigger.py writes"),
        ({"best_tag": "-Best"}, "best_tag is '-Best': a tag must not begin with '-'"),
        ({"gates": "accuracy"}, "gates is 'accuracy': expected a JSON list of gates"),
        ({"gates": "{}"}, "expected a JSON list of gates"),
        ({"gates": "[1]"}, "gates[0] is '1': expected an object with the keys title, series"),
        ({"gates": '[{"title": "a", "series": ""}]'}, "gates[0].series is empty"),
        ({"gates": '[{"title": 1, "series": "b"}]'}, "gates[0].title is '1': expected a text"),
        (
            {"gates": '[{"title": "a", "series": "b", "tolerence": 1}]'},
            "gates[0] has the unknown key 'tolerence'; did you mean 'tolerance'?",
        ),
        ({"gates": '[{"title": "a", "series": "b", "goal": "up"}]'}, "gates[0].goal is 'up': expected maximize or"),
        ({"gates": '[{"title": "a", "series": "b", "value": "mean"}]'}, "gates[0].value is 'mean': expected best or"),
        ({"gates": '[{"title": "a", "series": "b", "tolerance": -1}]'}, "gates[0].tolerance is -1: expected 0 or"),
        ({"gates": '[{"title": "a", "series": "b", "tolerance": NaN}]'}, "gates[0].tolerance is 'nan'"),
        ({"gates": '[{"title": "a", "series": "b", "minimum": "1"}]'}, "gates[0].minimum is '1': expected a number"),
        ({"gates": '[{"title": "a", "series": "b", "minimum": 2, "maximum": 1}]'}, "minimum is above its maximum"),
        ({"gates": '[{"title": "a", "series": "b", "required": "no"}]'}, "gates[0].required is 'no': expected true"),
        ({"inconclusive": "maybe"}, "inconclusive is 'maybe': expected fail or pass"),
        ({"baseline_main": "yes"}, "baseline_main is 'yes': expected true or false"),
        ({"alike": "[]"}, "alike is '[]': expected a JSON object"),
        ({"alike": '{"package": []}'}, "alike has the unknown key 'package'; did you mean 'packages'?"),
        ({"alike": '{"packages": "torch"}'}, "alike.packages is 'torch': expected a list of texts"),
        ({"alike": '{"hyperparameters": [1]}'}, "alike.hyperparameters is '1': expected a list of texts"),
        ({"alike": '{"inputs": "yes"}'}, "alike.inputs is 'yes': expected true or false"),
        ({"alike": '{"difference": "fail"}'}, "alike.difference is 'fail': expected inconclusive or warn"),
        ({"best_tag": "__$not"}, "best_tag is '__$not'"),
    ],
)
def test_from_arguments__edited_badly__names_the_parameter(edit: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        check.from_arguments({**CHECK.to_arguments(), **edit})
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("edit", "gate"),
    [
        ({"threshold_percent": "5%"}, replace(GATE, tolerance=5.0)),
        ({"threshold_percent": ""}, replace(GATE, tolerance=0.0)),
        ({"goal": "min"}, replace(GATE, goal="minimize")),
        ({"goal": ""}, GATE),
    ],
)
def test_from_arguments__strings_of_the_web_ui__are_cast(edit: dict[str, str], gate: Gate) -> None:
    assert check.from_arguments({**CHECK.to_arguments(), **edit}).gates == (gate,)


MANY = (
    Gate("accuracy", "validation", tolerance=0.02, relative=False, minimum=0.9),
    Gate("Summary", "latency", goal="minimize", maximum=20.0, required=False),
    Gate("loss", "train", goal="minimize", value="last", tolerance=1 / 3),
)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"gates": MANY}, id="many"),
        pytest.param({"gates": MANY[:1]}, id="one-with-a-minimum"),
        pytest.param({"inconclusive": "pass", "baseline_main": False}, id="words"),
        pytest.param({"name": "digits, large"}, id="name"),
        pytest.param({"alike": MatchRules(("Args/dataset*",), ("torch",), True, "warn")}, id="alike"),
    ],
)
def test_from_arguments__what_no_flat_argument_holds__travels_as_json(changes: dict[str, object]) -> None:
    changed = replace(CHECK, **changes)  # type: ignore[arg-type]  # the table's values are of these fields
    assert check.from_arguments(changed.to_arguments()) == changed


def test_from_arguments__gates__override_the_flat_ones() -> None:
    arguments = {**CHECK.to_arguments(), "gates": '[{"title": "loss", "series": "train", "goal": "minimize"}]'}
    assert check.from_arguments(arguments).gates == (Gate("loss", "train", goal="minimize"),)


def test_to_arguments__one_plain_gate__can_be_edited_in_the_web_ui() -> None:
    arguments = CHECK.to_arguments()
    assert (arguments["gates"], arguments["threshold_percent"]) == ("", "3")
    assert check.from_arguments({**arguments, "threshold_percent": "50"}).gates[0].tolerance == 50.0


def test_from_arguments__run_of_an_older_version__has_the_defaults() -> None:
    old = {
        name: value
        for name, value in CHECK.to_arguments().items()
        if name not in ("gates", "inconclusive", "alike", "baseline_main")
    }
    assert check.from_arguments(old) == CHECK


def test_parameters_of_the_pipeline__name_every_argument_with_its_default() -> None:
    declared = pr_check.PARAMETERS
    remote_run = {name for name in declared if name.startswith("run_")}
    assert {*CHECK.to_arguments(), *remote_run} == declared.keys() - {*BY_THE_JOB, "_shared_queue"}
    assert {field.name for field in fields(RemoteRun)} == {name.removeprefix("run_") for name in remote_run} | {
        "candidate"
    }
    bare = replace(CHECK, gates=(), project="", task_name="").to_arguments()
    own = {name: value for name, value in declared.items() if value and name not in BY_THE_JOB and name != "_context"}
    assert own == {
        name: value for name, value in bare.items() if value and name not in ("commit", "pull_request", "_context")
    }


def test_promotion__what_to_arguments_wrote__is_the_same_and_declared_by_its_pipeline() -> None:
    merged = replace(CHECK, action="promote", merge_commit="d" * 40, promote="passing")
    assert check.from_arguments(merged.to_arguments()) == merged
    declared = promote.PARAMETERS
    assert {*merged.to_arguments()} == declared.keys() - BY_THE_JOB
    assert check.from_arguments({**merged.to_arguments(), "promote": declared["promote"]}).promote == "better"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"promote": "always"}, "promote is 'always': expected better or passing or on-pass"),
        ({"action": "demote"}, "action is 'demote': expected check or promote or rollback"),
        ({"merge_commit": "main"}, "merge_commit is 'main': expected the 40 hexadecimal digits"),
    ],
    ids=["promote", "action", "merge-commit"],
)
def test_from_arguments__promotion_that_makes_no_sense__is_refused(edit: dict[str, str], message: str) -> None:
    merged = replace(CHECK, action="promote", merge_commit="d" * 40)
    with pytest.raises(UsageError, match=message):
        check.from_arguments({**merged.to_arguments(), **edit})


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ({"action": "promote"}, {"promote": [], "report": ["promote"]}),
        ({"action": "rollback"}, {"promote": [], "report": ["promote"]}),
        (
            {"gates": "[]", "promote": "on-pass"},
            {"find_task": [], "compare": ["find_task"], "promote": ["compare"], "report": ["promote"]},
        ),
        (
            {"gates": "[]", "promote": "on-pass", "run_until": "first-iteration"},
            {
                "find_task": [],
                "remote_run": [],
                "compare": ["find_task"],
                "promote": ["remote_run", "compare"],
                "report": ["promote"],
            },
        ),
        (
            {"gates": "[]", "promote": "on-pass", "candidate": "train"},
            {"remote_run": [], "compare": ["remote_run"], "promote": ["compare"], "report": ["promote"]},
        ),
        ({"promote": "on-pass"}, {"find_task": [], "promote": ["find_task"], "report": ["promote"]}),
        (
            {"promote": "on-pass", "candidate": "none", "run_until": "first-iteration"},
            {"remote_run": [], "report": ["remote_run"]},
        ),
    ],
    ids=[
        *("promote", "rollback", "on-pass", "on-pass-beside-a-probe", "on-pass-of-a-training"),
        *("on-pass-without-gates", "on-pass-without-a-model"),
    ],
)
def test_plan__promotion__has_its_step(arguments: dict[str, str], steps: dict[str, list[str]]) -> None:
    assert check.plan(arguments) == steps


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
        ({"gates": "[...]"}, {"find_task": [], "compare": ["find_task"], "report": ["compare"]}),
        ({}, {"find_task": [], "report": ["find_task"]}),
        ({"candidate": "nonsense"}, {"find_task": [], "report": ["find_task"]}),
    ],
    ids=[
        *("find", "find-compare", "probe-beside", "probe-alone", "train", "find-or-train"),
        *("many-gates", "empty", "nonsense"),
    ],
)
def test_plan__of_arguments__leaves_out_what_is_not_needed(
    arguments: dict[str, str], steps: dict[str, list[str]]
) -> None:
    assert check.plan(arguments) == steps


@pytest.mark.parametrize(
    ("base", "default", "name"),
    [
        ("main", "main", "ClearML CI"),
        ("release", "main", "ClearML CI (release)"),
        ("", "main", "ClearML CI"),
        ("release", "", "ClearML CI"),
    ],
    ids=["default-branch", "another-branch", "no-base", "default-unknown"],
)
def test_check_name__another_branch__is_a_name_of_its_own(base: str, default: str, name: str) -> None:
    """A status belongs to a commit: a lenient branch's must not turn the default branch's green."""
    pull = replace(CHECK.pull_request, base=base, default_branch=default)
    assert replace(CHECK, pull_request=pull).check_name == name
    assert replace(CHECK, pull_request=pull, name="a b").check_name == name.replace("CI", "CI: a b")


def test_check_name__branch_with_a_long_name__fits_and_is_its_own() -> None:
    """GitHub refuses a status whose name has more than 255 characters."""
    bases = ("b" * 250 + end for end in "121")
    pulls = [replace(CHECK.pull_request, base=base, default_branch="main") for base in bases]
    names = [replace(CHECK, pull_request=pull).check_name for pull in pulls]
    assert (len(set(names)), max(map(len, names)) <= 245, names[0]) == (2, True, names[2])


def test_from_arguments__facts__are_of_one_commit() -> None:
    facts = pull_request.Facts(("b" * 40,), ("c" * 40,), approved=True, committed={"a" * 40: "2026-01-01T00:00:00Z"})
    arguments = replace(CHECK, facts=facts).to_arguments()
    assert check.from_arguments(arguments).facts == facts
    assert check.from_arguments({**arguments, "commit": "d" * 40}).facts == pull_request.Facts()


RELATIVE = Gate("accuracy", "validation", tolerance=3.0, minimum=0.5)
ABSOLUTE = Gate("loss", "train", goal="minimize", tolerance=0.1, relative=False)


def edited(gates: tuple[Gate, ...], **edits: str) -> dict[str, str]:
    """The Args of a clone of a job's run, which a user edited."""
    return {**run_arguments.with_start(replace(CHECK, gates=gates).to_arguments()), **edits}


@pytest.mark.parametrize(("text", "tolerance"), [("5", 5.0), ("0", 0.0), ("", 3.0)])
def test_gates__threshold_edited_where_there_are_several__applies_to_those_in_percent(
    text: str, tolerance: float
) -> None:
    found = check.from_arguments(edited((RELATIVE, ABSOLUTE), threshold_percent=text)).gates
    assert found == (replace(RELATIVE, tolerance=tolerance), ABSOLUTE)


@pytest.mark.parametrize(
    ("gates", "edit", "message"),
    [
        (
            (ABSOLUTE,),
            {"threshold_percent": "5"},
            "threshold_percent is '5', but no gate of this run has a tolerance in",
        ),
        ((RELATIVE,), {"threshold_percent": "abc"}, "threshold_percent is 'abc': expected a percentage"),
        ((RELATIVE,), {"goal": "minimize"}, "goal has no effect: this run's gates are in `gates`; edit that"),
        ((RELATIVE,), {"scalar_title": "loss"}, "scalar_title has no effect"),
    ],
    ids=["none-in-percent", "no-number", "goal", "title"],
)
def test_gates__edit_without_effect__is_refused(gates: tuple[Gate, ...], edit: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        check.from_arguments(edited(gates, **edit))


def test_gates__run_of_an_earlier_version__has_the_gates_of_its_list() -> None:
    old = {**replace(CHECK, gates=(RELATIVE,)).to_arguments(), "threshold_percent": "0"}
    assert check.from_arguments(old).gates == (RELATIVE,)
    assert check.from_arguments(run_arguments.with_start(old)).gates == (RELATIVE,)
