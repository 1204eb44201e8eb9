"""The tables of the documents compared with the code: inputs, outputs, policy keys, outcomes, commands."""

import re
from collections.abc import Mapping
from typing import Any

import ci_trigger
from clearml_ci.core.outcome import Outcome
from clearml_ci.parameters import catalogue
from clearml_ci.policy import schema
from tests.unit.documents import ACTION, PAGES, ROOT, names_of_first_column, section, table

SETTINGS = (ROOT / "clearml_ci" / "job" / "settings.py").read_text(encoding="utf-8")
RUNNER_SETS = {"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_API_URL", "GITHUB_REPOSITORY"}


def input_of(variable: str) -> str:
    return variable.removeprefix("CLEARML_CI_").lower()


def keys_of(properties: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The keys of a policy as its table writes them: `evidence.ignored_paths`, `gates[].metric`."""
    keys: set[str] = set()
    for name, one in properties.items():
        if name in ("metric", "remote_run"):  # a text or a mapping; a table of its own
            keys.add(prefix + name)
        elif "properties" in one:
            keys |= keys_of(one["properties"], f"{prefix}{name}.")
        elif "properties" in one.get("items", {}):
            keys |= keys_of(one["items"]["properties"], f"{prefix}{name}[].")
        else:
            keys.add(prefix + name)
    return keys


def test_inputs_table__names__are_the_actions_inputs() -> None:
    assert names_of_first_column(table("docs/inputs.md", "inputs")) == set(ACTION["inputs"])


def test_inputs_table__names__are_the_variables_that_the_code_reads() -> None:
    read = set(re.findall(r'environ(?:\.get\(|, )"([A-Z_]+)"', SETTINGS))
    read |= {variable for parameter in catalogue.PARAMETERS for variable in parameter.variables}
    documented = names_of_first_column(table("docs/inputs.md", "inputs"))
    assert {input_of(name) for name in read - RUNNER_SETS} <= documented


def test_most_used_inputs__names__are_the_actions_inputs() -> None:
    names = names_of_first_column(table("README.md", "most used inputs"))
    assert len(names) >= 10
    assert names <= set(ACTION["inputs"])


def test_migration_table__names__are_the_actions_inputs() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| `([a-z_]+)` \|$", PAGES["docs/migration.md"], re.MULTILINE)
    earlier = {old.lower() for old, _ in rows}
    assert earlier == {name for name in ACTION["inputs"] if name.startswith("execution_") or name == "queue_name"}
    assert {new for _, new in rows} <= set(ACTION["inputs"]) - earlier


def test_outputs_table__names__are_the_actions_outputs() -> None:
    assert names_of_first_column(section("docs/outputs.md", "Outputs")) == set(ACTION["outputs"])


def test_policy_table__keys__are_those_of_the_schema() -> None:
    assert names_of_first_column(table("docs/policy.md", "policy")) == keys_of(schema.SCHEMA["properties"])


def test_policy_table__keys_of_the_remote_run__are_those_of_the_schema() -> None:
    documented = names_of_first_column(table("docs/policy.md", "policy remote_run"))
    assert documented == set(schema.REMOTE_RUN["properties"])


def test_outcomes_table__rows__are_the_codes_and_states_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| (\d) \|$", section("README.md", "Outcomes"), re.MULTILINE)
    assert {(name, state, int(code)) for name, state, code in rows} == {
        (outcome, outcome.state, outcome.exit_code) for outcome in Outcome
    }


def test_commands_table__names__are_the_commands_of_the_program() -> None:
    rows = re.findall(r"^\| `([a-z]+)[^`]*` \|", section("docs/cli.md", "ci_trigger.py"), re.MULTILINE)
    assert set(rows) == set(ci_trigger.COMMANDS)
