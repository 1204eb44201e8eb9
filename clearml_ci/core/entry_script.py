"""The entry file of a launch: if it does not call `Task.init` itself, the agent adds the call."""

import ast
import re


def calls_task_init(source: str) -> bool:
    """True if the script calls `Task.init`, whatever name `clearml` was imported under."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # another Python's syntax, none, or nested too deep
        return bool(re.search(r"\bTask\s*\.\s*init\s*\(", source))
    return any(isinstance(node, ast.Call) and _is_task_init(node.func) for node in ast.walk(tree))


def _is_task_init(function: ast.expr) -> bool:
    if not isinstance(function, ast.Attribute) or function.attr != "init":
        return False
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name == "Task"
