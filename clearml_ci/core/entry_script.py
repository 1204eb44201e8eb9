"""The entry file of a launch: the calls that it makes, and the place for one that the agent adds."""

import ast
import re


def calls_task_init(source: str) -> bool:
    """True if the script calls `Task.init`, whatever name `clearml` was imported under."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # another Python's syntax, none, or nested too deep
        return bool(re.search(r"\bTask\s*\.\s*init\s*\(", source))
    return any(isinstance(node, ast.Call) and _is_task_init(node.func) for node in ast.walk(tree))


def line_before_code(source: str) -> int | None:
    """The number of lines above the script's first statement that may stand below a call; None if it cannot be read.

    The docstring and the imports of `__future__` stay above.
    """
    try:
        statements = ast.parse(source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # as above
        return None
    above = 0
    for number, statement in enumerate(statements):
        docstring = number == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        if not docstring and not (isinstance(statement, ast.ImportFrom) and statement.module == "__future__"):
            break
        above = statement.end_lineno or statement.lineno
    return above or _comments(source)


def _comments(source: str) -> int:
    """The number of comments at the beginning, of which one may name the encoding."""
    lines = source.splitlines()
    return next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))


def _is_task_init(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr != "init":
        return False
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name == "Task"
