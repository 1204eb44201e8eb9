"""action.yml, its documents and the variables of the program, held together by one rule."""

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.job import settings, workflow_output

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS = ACTION["runs"]["steps"]
CHECK = STEPS[-1]
OUTPUTS = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")
# What the action's own step needs beside the inputs, and the one input that is an argument.
OF_THE_STEP = {"PYTHON", "PYTHONPATH", "COMMAND", "CLEARML_CI_ACTION_REPOSITORY", "CLEARML_CI_ACTION_REF"}
VARIABLES = set(CHECK["env"]) - OF_THE_STEP
COMMIT = "a" * 40


def input_of(variable: str) -> str:
    return variable.removeprefix("CLEARML_CI_").lower()


def test_inputs__names__are_the_variables_in_lower_case_without_our_prefix() -> None:
    assert {input_of(variable) for variable in VARIABLES} | {"command"} == set(ACTION["inputs"])
    assert len({input_of(variable) for variable in VARIABLES}) == len(VARIABLES)


@pytest.mark.parametrize("variable", sorted(VARIABLES - {"GITHUB_TOKEN"}))
def test_input__empty__leaves_the_variable_of_the_workflow(variable: str) -> None:
    assert CHECK["env"][variable] == f"${{{{ inputs.{input_of(variable)} || env.{variable} }}}}"


def test_token__personal_one__goes_before_the_workflows_own() -> None:
    assert CHECK["env"]["GITHUB_TOKEN"] == "${{ inputs.gh_token || env.GH_TOKEN || inputs.github_token }}"  # noqa: S105
    assert ACTION["inputs"]["github_token"]["default"] == "${{ github.token }}"


@pytest.mark.parametrize("name", sorted(ACTION["inputs"]))
def test_input__each__says_what_it_is_for(name: str) -> None:
    assert len(ACTION["inputs"][name]["description"].split()) >= 4


def test_settings__every_variable_empty__are_those_of_none_set(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(
        '{"repository": {"full_name": "o/n", "clone_url": "https://github.com/o/n.git"}, '
        f'"pull_request": {{"number": 1, "head": {{"sha": "{COMMIT}"}}}}}}'
    )
    given = {"GITHUB_EVENT_PATH": str(path), "GITHUB_EVENT_NAME": "pull_request"}
    empty = dict.fromkeys(VARIABLES, "")
    read = [settings.from_environment(environ) for environ in ({**empty, **given}, given)]
    for each in read:
        each.arguments.pop("_origin")  # a nonce
    assert read[0] == read[1]


def test_outputs__names__are_those_that_the_program_writes() -> None:
    document: dict[str, Any] = {"outcome": "passed", "exit_reason": "", "candidate": None, "baseline": None}
    document["pipeline"] = {"id": "", "url": ""}
    written = workflow_output.outputs(cast(VerdictDocument, document), comment_url="")
    assert set(ACTION["outputs"]) == set(written)
    for name, output in ACTION["outputs"].items():
        assert output["value"] == f"${{{{ steps.check.outputs.{name} }}}}"
        assert f"`{name}`" in OUTPUTS
    assert all(outcome in ACTION["outputs"]["outcome"]["description"] for outcome in Outcome)


@pytest.mark.parametrize("step", [step for step in STEPS if "run" in step], ids=lambda step: str(step["name"]))
def test_step__shell__is_given_nothing_but_variables(step: dict[str, Any]) -> None:
    assert "${{" not in step["run"]


def test_step__check__is_replaced_by_the_program_so_that_a_signal_reaches_it() -> None:
    assert CHECK["run"] == 'exec "$PYTHON" "$GITHUB_ACTION_PATH/ci_trigger.py" ${COMMAND:+"$COMMAND"}'
