"""The documents compared with the code: length, links, examples, the commands and paths that they name, the version."""

import re

import mermaidx
import pytest
import yaml

import ci_trigger
import clearml_ci
from clearml_ci.core.errors import UsageError
from clearml_ci.policy import policy_file
from tests.unit.documents import ACTION, PAGES, ROOT, anchors, code_blocks, code_of_all_pages, links, section, steps_of

README = PAGES["README.md"]


def test_readme__length__is_at_most_200_lines() -> None:
    assert len(README.splitlines()) <= 200


@pytest.mark.parametrize("page", sorted(page for page in PAGES if page.startswith("docs/")))
def test_page__each__has_a_purpose_and_a_link_in_the_readme(page: str) -> None:
    title, empty, purpose, *_ = PAGES[page].splitlines()
    assert title.startswith("# ")
    assert (empty, purpose[:1].isupper()) == ("", True)
    assert f"]({page})" in README


@pytest.mark.parametrize(("page", "link"), links())
def test_link__to_a_file_or_a_heading__resolves(page: str, link: str) -> None:
    if link.startswith("http"):
        return
    path, _, anchor = link.partition("#")
    target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
    assert target.is_file()
    assert not anchor or anchor in anchors(str(target.relative_to(ROOT)))


def test_commands__of_the_program_in_any_page__exist() -> None:
    named = set(re.findall(r"ci_trigger\.py ([a-z]+)", code_of_all_pages()))
    assert {"validate", "rollback", "rerun"} <= named <= set(ci_trigger.COMMANDS)


def test_commands__of_make_in_any_page__are_targets() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"\bmake ([a-z]+)\b", code_of_all_pages()))
    assert {"demo", "test", "bench"} <= named <= set(targets)


def test_commands__of_tools_in_any_page__exist() -> None:
    named = set(re.findall(r"python -m tools\.(\w+)", code_of_all_pages()))
    assert named
    assert [name for name in named if not [*(ROOT / "tools").glob(name), *(ROOT / "tools").glob(f"{name}.py")]] == []


def test_paths__of_the_code_in_any_page__exist() -> None:
    named = set(re.findall(r"\b(?:[a-z_]+/)+(?:\w+\.py)?(?=[` :)\n])", code_of_all_pages()))
    folders = {path.name for path in [*ROOT.iterdir(), *(ROOT / "clearml_ci").iterdir()] if path.is_dir()}
    ours = {path for path in named if path.partition("/")[0] in folders}
    assert len(ours) > 20
    assert [path for path in ours if not any((room / path).exists() for room in (ROOT, ROOT / "clearml_ci"))] == []


def test_workflow__in_the_readme__has_the_permissions_of_its_table() -> None:
    (block,) = code_blocks("README.md", "yaml")
    workflow = yaml.safe_load(block)
    assert workflow[True] == "pull_request"  # YAML 1.1 reads the key `on` as true
    job = workflow["jobs"]["check"]
    assert len(list(steps_of(job))) == 1
    assert job["permissions"] == {
        "contents": "read",
        "statuses": "write",
        "checks": "write",
        "pull-requests": "write",
    }
    rows = re.findall(r"^\| `([a-z-]+): ([a-z]+)` \|", section("README.md", "Permissions"), re.MULTILINE)
    assert dict(rows) == job["permissions"]


def test_example__of_any_page__gives_the_action_inputs_that_it_has() -> None:
    examples = [yaml.safe_load(block) for page in PAGES for block in code_blocks(page, "yaml")]
    steps = [step for example in examples for step in steps_of(example)]
    assert len(steps) >= 5
    assert [step for step in steps if not set(step.get("with") or {}) <= set(ACTION["inputs"])] == []


def test_workflow__of_several_models__has_a_policy_and_a_concurrency_group_for_each() -> None:
    (block,) = code_blocks("docs/several-models.md", "yaml")
    job = yaml.safe_load(block)["jobs"]["check"]
    ((variable, files),) = job["strategy"]["matrix"].items()
    (step,) = job["steps"]
    assert f"${{{{ matrix.{variable} }}}}" in step["with"]["policy"]
    assert f"${{{{ matrix.{variable} }}}}" in job["concurrency"]["group"]
    assert policy_file.FILE in [f".github/{file}" for file in files]


def test_policy__of_its_page__is_valid() -> None:
    (block,) = code_blocks("docs/policy.md", "yaml")
    assert [gate.name for gate in policy_file.load(block, source="docs/policy.md").check.gates] == [
        "accuracy/validation",
        "loss/validation",
    ]


def test_policies__of_all_pages__are_valid() -> None:
    blocks = [(page, block) for page in PAGES for block in code_blocks(page, "yaml") if block.startswith("version:")]
    assert len(blocks) >= 2
    for page, block in blocks:
        policy_file.load(block, source=page)


def test_problems__of_the_policy_page__are_what_validate_prints() -> None:
    policy = "version: 1\nproject: Digits\ntask_name: train digits\ngates:\n  - metric: accuracy/validation\n"
    policy += "    max_regresion: 3%\n    min: high\n"
    began = f"error: ClearML CI: {policy_file.FILE}"
    (printed,) = [block for block in code_blocks("docs/policy.md", "") if block.startswith(began)]
    with pytest.raises(UsageError) as error:
        policy_file.load(policy, source=policy_file.FILE)
    assert f"error: ClearML CI: {error.value}".strip() == printed.strip()


def test_diagrams__of_all_pages__are_drawn_by_mermaid() -> None:
    diagrams = [block for page in PAGES for block in code_blocks(page, "mermaid")]
    assert len(diagrams) >= 2
    assert all("<svg" in mermaidx.render(diagram).svg() for diagram in diagrams)


def test_version__of_package_and_changelog__is_one() -> None:
    newest = re.findall(r"^## (\d\S*) - \d{4}-\d\d-\d\d$", PAGES["CHANGELOG.md"], re.MULTILINE)[0]
    assert clearml_ci.__version__ == newest
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'version = { attr = "clearml_ci.__version__" }' in project
    assert not re.search(r'^version = "', project, re.MULTILINE)
