"""The linters of GitHub's own world over action.yml and all workflows, offline, and what they do not look at."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXAMPLES = [path for path in WORKFLOWS if path.name != "ci.yml"]
SAMPLES = sorted((ROOT / "tests" / "agents" / "predecessors").glob("*.yml"))
LINTERS = {
    "zizmor": ["zizmor", "--offline", "--persona", "pedantic", "--no-config", ACTION, *WORKFLOWS],
    "actionlint": ["actionlint", "-no-color", "-shellcheck=", "-pyflakes=", *WORKFLOWS],
    "action schema": ["check-jsonschema", "--builtin-schema", "vendor.github-actions", ACTION],
    "workflow schema": ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
}


def lint(program: str, *arguments: object, within: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / program), *map(str, arguments)]
    return subprocess.run(command, cwd=within, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", LINTERS)
def test_linter__action_and_workflows__finds_nothing(name: str) -> None:
    program, *arguments = LINTERS[name]
    done = lint(str(program), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.name)
def test_uses__actions_of_others__are_pinned_to_a_commit_and_tell_the_version(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (?!YOUR-ORG/)(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used), used


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_zizmor__ignored_finding__stands_with_its_reason(path: Path) -> None:
    for line in path.read_text(encoding="utf-8").splitlines():
        if "zizmor: ignore" in line:
            assert re.search(r"zizmor: ignore\[[a-z-]+\] \w+ \w+", line), line


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_example__in_this_repository__is_skipped_and_runs_none_of_the_pull_requests_code(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    for one in workflow["jobs"].values():
        assert "!endsWith(github.repository, '/clearml-ci')" in one["if"]
        assert [step["uses"].split("@")[0] for step in one["steps"]] == ["YOUR-ORG/clearml-ci"]


@pytest.mark.parametrize("path", EXAMPLES + SAMPLES, ids=lambda path: path.name)
def test_inputs__of_examples_and_predecessors__are_the_actions(path: Path, tmp_path: Path) -> None:
    assert inputs_complained_of(path.read_text(encoding="utf-8"), tmp_path) == []


def test_inputs__misspelt__are_complained_of(tmp_path: Path) -> None:
    text = SAMPLES[0].read_text(encoding="utf-8").replace("QUEUE_NAME:", "QUEUE:")
    assert inputs_complained_of(text, tmp_path) == ["QUEUE"]


def inputs_complained_of(workflow: str, directory: Path) -> list[str]:
    """actionlint knows the inputs of a project's own action, and like GitHub does not mind their case."""
    folder = directory / ".github" / "workflows"
    folder.mkdir(parents=True)
    (directory / ".git").mkdir()  # what makes it a project
    shutil.copy(ACTION, directory)
    (folder / "own.yml").write_text(re.sub(r"uses: .*", "uses: ./", workflow), encoding="utf-8")
    done = lint("actionlint", "-no-color", "-shellcheck=", "-pyflakes=", folder / "own.yml", within=directory)
    return re.findall(r'input "(\w+)" is not defined', done.stdout)
