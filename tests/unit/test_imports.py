"""Imports point one way: ci_trigger, pipelines, steps → gateways → pure core; nothing imports sandbox or tests."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATEWAYS = {
    "clearml": {"clearml_audit", "clearml_gateway", "clearml_launch", "clearml_runs", "clearml_schedule", "controller"},
    "github": {"github_gateway", "github_checks", "github_comments", "github_issues", "github_reads"},
}
PRODUCT = [
    ROOT / "ci_trigger.py",
    *(file for name in ("clearml_ci", "pipelines", "steps") for file in (ROOT / name).glob("*.py")),
]
# What is no pure core: the two gateways, and what reads git, the job's environment, or a gateway.
AROUND = {
    *(file.stem for file in (ROOT / "clearml_ci").glob("*.py") if file.stem.startswith(("clearml_", "github_"))),
    *(
        "audit_job",
        "carry",
        "comparison",
        "controller",
        "handover",
        "lineage",
        "main_run",
        "moving",
        "publish",
        "pull_code",
    ),
    *("rerun", "source", "step", "trigger", "voice", "watch", "workflow"),
}
CORE = sorted(file.stem for file in (ROOT / "clearml_ci").glob("*.py") if file.stem not in AROUND)


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def roots(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(file)}


@pytest.mark.parametrize("file", PRODUCT, ids=lambda file: file.name)
def test_product__any_file__imports_neither_sandbox_nor_tests_nor_what_is_above_it(file: Path) -> None:
    above = {"sandbox", "tests", "ci_trigger", "pipelines"} | ({"steps"} if file.parent.name != "steps" else set())
    assert not roots(file) & above


@pytest.mark.parametrize("name", CORE)
def test_core__module__imports_no_gateway_and_no_service(name: str) -> None:
    found = imports(ROOT / "clearml_ci" / f"{name}.py")
    assert not {one.split(".")[0] for one in found} & {"clearml", "github", "requests", "subprocess"}
    assert not found & {f"clearml_ci.{module}" for module in AROUND}


def test_gateways__each_service__is_imported_by_its_gateway_and_the_controller_alone() -> None:
    for service, gateway in GATEWAYS.items():
        users = {file.stem for file in PRODUCT if service in roots(file)}
        assert users == gateway


@pytest.mark.parametrize("file", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda file: file.name)
def test_pipeline__file__holds_its_dag_alone(file: Path) -> None:
    assert roots(file) == {"clearml_ci"}
    assert not [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]
