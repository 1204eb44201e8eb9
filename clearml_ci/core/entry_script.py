"""The entry file of a launch: does it call `Task.init` itself, or must the agent add the call?"""

import ast
import re


def calls_task_init(source: str) -> bool:
    """Whether a script's text holds a call of `Task.init`, however `clearml` was imported."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # another Python's syntax, or no Python at all
        return bool(re.search(r"\bTask\s*\.\s*init\s*\(", source))
    return any(isinstance(node, ast.Call) and _is_task_init(node.func) for node in ast.walk(tree))


def _is_task_init(called: ast.expr) -> bool:
    if not isinstance(called, ast.Attribute) or called.attr != "init":
        return False
    owner = called.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return name == "Task"


def packages(requirements: str) -> list[str]:
    """The lines of a requirements file that name something."""
    lines = (line.split(" #")[0].strip() for line in requirements.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
