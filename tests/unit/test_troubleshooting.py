"""The messages that docs/troubleshooting.md names, compared with the texts of the code."""

import ast
import difflib
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
REMOTE_RUNS = (ROOT / "docs" / "remote-runs.md").read_text(encoding="utf-8")
CODE = [ROOT / "ci_trigger.py", *sorted((ROOT / "clearml_ci").rglob("*.py")), *sorted((ROOT / "steps").glob("*.py"))]
ANY = "…"  # stands for what differs from case to case


def rows(text: str, heading: str) -> list[str]:
    """The code spans of the first column of each table with this heading."""
    tables = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [span for table in tables for span in re.findall(r"^\| `?([^`|]+?)`? \|", table, re.MULTILINE)]


def texts(tree: ast.AST) -> Iterator[str]:
    """All texts of a module but its docstrings, with `…` for the values that they are filled with."""
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else ANY for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield re.sub(r"\{\w*\}", ANY, node.value)


@functools.cache
def texts_of_the_code() -> list[str]:
    return [text for path in CODE for text in texts(ast.parse(path.read_text(encoding="utf-8")))]


def nearest(message: str) -> list[str]:
    return difflib.get_close_matches(message, texts_of_the_code(), n=3, cutoff=0.3)


def is_in(message: str, text: str) -> bool:
    """A part of the text; a `…` of the message stands for any part of it."""
    return re.search(".*".join(map(re.escape, message.split(ANY))), text, re.DOTALL) is not None


@pytest.mark.parametrize("message", rows(PAGE, "message"))
def test_message__of_the_page__is_in_the_code(message: str) -> None:
    found = any(is_in(message, text) for text in texts_of_the_code())
    assert found, f"no text of the code has it; the nearest: {nearest(message)}"


def test_messages__of_the_page__are_many_and_long_enough_to_be_found() -> None:
    messages = rows(PAGE, "message")
    assert len(messages) >= 24
    assert [message for message in messages if len(message.replace(ANY, "").split()) < 2] == []


def test_phases__of_the_page__are_those_of_remote_runs() -> None:
    phases = rows(REMOTE_RUNS, "phase")
    assert set(rows(PAGE, "phase")) <= set(phases)
    assert [phase for phase in phases if phase not in texts_of_the_code()] == []
