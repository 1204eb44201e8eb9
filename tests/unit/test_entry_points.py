"""The entry points: imports that import-linter cannot see, and signals that come as the process ends."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def roots(file: Path) -> set[str]:
    """The top-level packages that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def test_trigger__file__imports_clearml_ci_and_the_standard_library_alone() -> None:
    assert roots(ROOT / "ci_trigger.py") - sys.stdlib_module_names == {"clearml_ci"}


@pytest.mark.parametrize("file", sorted((ROOT / "pipelines").glob("*.py")), ids=lambda file: file.name)
def test_pipeline__file__holds_its_dag_alone(file: Path) -> None:
    assert roots(file) == {"clearml_ci"}
    assert not [node for node in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("entry", ["ci_trigger.py", "steps/compare.py"])
def test_sigterm__while_the_process_ends__prints_no_traceback(entry: str) -> None:
    aborted = f"""
import atexit, os, runpy, signal, sys
atexit.register(os.kill, os.getpid(), signal.SIGTERM)
sys.argv = [{entry!r}, "no", "such", "command"]
runpy.run_path({entry!r}, run_name="__main__")
"""
    ended = subprocess.run([sys.executable, "-c", aborted], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, "Traceback" in ended.stderr) == (-15, False), ended.stderr
