"""The README's tables, its workflow and its picture, held against the code."""

import re
from pathlib import Path

import pytest
import yaml

from clearml_ci import remote, verdict

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "clearml_ci" / "settings.py").read_text(encoding="utf-8")


SDK_VARIABLES = [f"CLEARML_{name}" for name in ("API_HOST", "WEB_HOST", "FILES_HOST")] + [
    "CLEARML_API_ACCESS_KEY",
    "CLEARML_API_SECRET_KEY",
]


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_settings_table__variables__are_those_that_the_code_reads() -> None:
    read = set(re.findall(r'environ(?:\.get\(|, )"([A-Z_]+)"', SETTINGS))
    read |= {name for names in remote.VARIABLES.values() for name in names}
    runner_sets = {"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_REPOSITORY"}
    told = set(re.findall(r"`([A-Z][A-Z_]+[A-Z])`", section("Settings"))) - {"MAX", "MIN"}
    assert told == read - runner_sets


def test_outcomes_table__rows__are_the_codes_and_states_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| (\d) \|$", section("Outcomes"), re.MULTILINE)
    assert {(name, state, int(code)) for name, state, code in rows} == {
        (name, one.state, one.exit_code) for name, one in verdict.OUTCOMES.items()
    }


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_link__to_a_file__exists(link: str) -> None:
    assert link.startswith("http") or (ROOT / link).is_file()


def test_workflow__in_the_readme__is_yaml_that_runs_the_trigger_for_pull_requests() -> None:
    (block,) = re.findall(r"^```yaml\n(name: .*?)^```", README, re.MULTILINE | re.DOTALL)
    workflow = yaml.safe_load(block)
    assert workflow[True] == "pull_request"  # YAML 1.1 reads the key `on` as true
    assert workflow["concurrency"]["group"] == "clearml-${{ github.event.pull_request.number }}"
    *_, step = workflow["jobs"]["check"]["steps"]
    assert step["run"] == "exec python ci_trigger.py"
    assert set(step["env"]) <= set(re.findall(r"[A-Z_]{6,}", SETTINGS + " ".join(SDK_VARIABLES)))


def test_make__commands_of_the_readme__are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) <= targets
