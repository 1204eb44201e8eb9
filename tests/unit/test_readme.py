"""The README's tables, its workflow and its picture, held against the code."""

import re
from pathlib import Path

import pytest

from clearml_ci import verdict

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SETTINGS = (ROOT / "clearml_ci" / "settings.py").read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_settings_table__variables__are_those_that_the_code_reads() -> None:
    read = set(re.findall(r'environ(?:\.get\(|, )"([A-Z_]+)"', SETTINGS))
    runner_sets = {"GITHUB_EVENT_NAME", "GITHUB_EVENT_PATH", "GITHUB_API_URL"}
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


def test_make__commands_of_the_readme__are_targets() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", README)) <= targets
