"""The README's tables, its workflow and its picture, held against the code."""

import re
from pathlib import Path

import pytest
import yaml

from clearml_ci.core.outcome import Outcome
from clearml_ci.parameters import remote_run
from clearml_ci.policy import policy_file, schema

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "clearml_ci" / "job" / "settings.py").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def input_of(variable: str) -> str:
    return variable.removeprefix("CLEARML_CI_").lower()


def names_of_first_column(table: str) -> set[str]:
    rows = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_inputs_table__names__are_the_actions_inputs() -> None:
    assert names_of_first_column(section("Inputs")) == set(ACTION["inputs"])


def test_inputs_table__names__are_the_variables_that_the_code_reads() -> None:
    read = set(re.findall(r'environ(?:\.get\(|, )"([A-Z_]+)"', SETTINGS))
    read |= {name for names in remote_run.VARIABLES.values() for name in names}
    runner_sets = {"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_API_URL", "GITHUB_REPOSITORY"}
    assert {input_of(name) for name in read - runner_sets} <= names_of_first_column(section("Inputs"))


def test_outputs_table__names__are_the_actions_outputs() -> None:
    table = section("Outputs").split("| outcome | meaning")[0]
    assert names_of_first_column(table) == set(ACTION["outputs"])


def test_policy_table__keys__are_those_of_the_schema() -> None:
    told = set(re.findall(r"`([a-z_]+)(?:\.|\[\]|`)", section("The policy file")))
    assert set(schema.SCHEMA["properties"]) <= told
    assert set(schema.REMOTE_RUN["properties"]) <= told


def test_outcomes_table__rows__are_the_codes_and_states_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| (\d) \|$", section("Outputs"), re.MULTILINE)
    assert {(name, state, int(code)) for name, state, code in rows} == {
        (outcome, outcome.state, outcome.exit_code) for outcome in Outcome
    }


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_link__to_a_file__exists(link: str) -> None:
    assert link.startswith("http") or (ROOT / link).is_file()


def test_workflow__in_the_readme__gives_the_action_inputs_that_it_has() -> None:
    (block,) = re.findall(r"^```yaml\n(name: .*?)^```", README, re.MULTILINE | re.DOTALL)
    workflow = yaml.safe_load(block)
    assert workflow[True] == "pull_request"  # YAML 1.1 reads the key `on` as true
    (step,) = workflow["jobs"]["check"]["steps"]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert workflow["jobs"]["check"]["permissions"] == {
        "contents": "read",
        "statuses": "write",
        "checks": "write",
        "pull-requests": "write",
    }


def test_workflow__of_several_models__has_a_policy_and_a_concurrency_group_for_each() -> None:
    (block,) = re.findall(r"^```yaml\n(jobs:.*?)^```", README, re.MULTILINE | re.DOTALL)
    job = yaml.safe_load(block)["jobs"]["check"]
    ((variable, files),) = job["strategy"]["matrix"].items()
    (step,) = job["steps"]
    assert set(step["with"]) <= set(ACTION["inputs"])
    assert f"${{{{ matrix.{variable} }}}}" in step["with"]["policy"]
    assert f"${{{{ matrix.{variable} }}}}" in job["concurrency"]["group"]
    assert policy_file.FILE in [f".github/{file}" for file in files]


def test_policy__in_the_readme__is_valid() -> None:
    (block,) = re.findall(r"^```yaml\n(version: .*?)^```", README, re.MULTILINE | re.DOTALL)
    assert [gate.name for gate in policy_file.load(block, source="README.md").gates] == [
        "accuracy/validation",
        "loss/validation",
    ]


def test_make__commands_of_the_readme__are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) <= targets
