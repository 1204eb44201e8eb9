"""Count the words that CONTRIBUTING.md's rules forbid: `python -m tools.words [PATH ...]`, or with `--list` each place.

Read are the docstrings, comments, texts and new names of Python files, and the lines of Markdown and YAML files. A text
without a space is a key or a value of code, and not read; nor is the code between the braces of an f-string, or
between the backticks of Markdown.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Rule:
    """`pattern` finds what is forbidden; `instead` is the advice."""

    pattern: str
    instead: str


WHERE = "where"
TEXT_RULES = {
    "unnamed actor": Rule(
        r"\b(nobody|somebody|strangers?|whoever)\b", "name the actor: job, step, agent, GitHub, user"
    ),
    "tell, say, speak": Rule(
        r"\b(tells?|told|telling|says?|said|saying|speaks?|spoken?|speaking|voice)\b",
        "report, post, log, print, warn, name, state",
    ),
    "overrule": Rule(r"\boverrul\w+", "override"),
    "at once": Rule(r"\bat once\b", "concurrently, or immediately"),
    "riddle": Rule(r"\b(in vain|there is never no|no word|its word|the word)\b", "state the fact"),
    WHERE: Rule(r"\bwhere\b", "if; `where` is for places, so this rule needs a reader"),
}
NAME_RULES = {
    "vague name": Rule(
        r"^_?(wanted|asked|told|said|tell|say|voice|one|ones|again|thing|things|silence|cells|folded|handover|moving"
        r"|settling|overruled|carry)$",
        "the field's term: check, task, run, gate, message, ...",
    )
}
DOCSTRING_RULES = {
    "error first": Rule(r"^Raises\b", "begin with what the function does or returns"),
    "question": Rule(
        r"^(what|who|whom|whose|which|where|when|whether|how|why|is|are|does|did|has|can)\b.*|.*\?$",
        "begin with what it does or returns: a verb or a noun phrase",
    ),
}
RULES = {**TEXT_RULES, **NAME_RULES, **DOCSTRING_RULES}
PYTHON = ("ci_trigger.py", "clearml_ci", "pipelines", "steps", "sandbox", "tools", "tests")
DOCUMENTS = ("*.md", "docs/*.md", ".github/*.md", ".github/**/*.yml", "action.yml", "sandbox/**/*.md")


@dataclass(frozen=True)
class Place:
    """One forbidden word: `line` counts from 1."""

    path: str
    line: int
    rule: str
    text: str

    @property
    def folder(self) -> str:
        """The package in clearml_ci or sandbox, else the folder; of a file at the root its name."""
        parts = self.path.split("/")
        return "/".join(parts[: 2 if parts[0] in ("clearml_ci", "sandbox", "tests") else 1])


def find(arguments: list[str]) -> list[Place]:
    """Return each forbidden word below the paths, or of all files that git tracks."""
    return [
        place for path in _files(arguments) for place in places(path.relative_to(ROOT).as_posix(), path.read_text())
    ]


def places(name: str, text: str) -> Iterator[Place]:
    """Yield each forbidden word of a file with this name and text."""
    if not name.endswith(".py"):
        for number, line in enumerate(text.splitlines(), 1):
            yield from _matches(name, number, re.sub(r"`[^`]*`", "", line), TEXT_RULES)
        return
    tree = ast.parse(text)
    own_rules = {id(node) for rule in _rules(tree) for node in ast.walk(rule)}
    for node in ast.walk(tree):
        if id(node) not in own_rules:
            yield from _of_node(name, node)
    yield from _of_comments(name, text)


def _rules(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the rules above: they have to name what they forbid."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(ast.unparse(target).endswith("_RULES") for target in node.targets):
            yield node


def _of_node(name: str, node: ast.AST) -> Iterator[Place]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
        for offset, line in enumerate(node.value.splitlines()):
            yield from _matches(name, node.lineno + offset, line, TEXT_RULES)
    for identifier in _names(node):
        yield from _matches(name, getattr(node, "lineno", 1), identifier, NAME_RULES)
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (doc := ast.get_docstring(node)):
        yield from _matches(name, getattr(node, "lineno", 1), doc.splitlines()[0], DOCSTRING_RULES)


def _of_comments(name: str, text: str) -> Iterator[Place]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield from _matches(name, token.start[0], token.string, TEXT_RULES)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the identifiers that this node introduces."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def _matches(name: str, line: int, text: str, rules: Mapping[str, Rule]) -> Iterator[Place]:
    for label, rule in rules.items():
        for _match in re.finditer(rule.pattern, text, re.IGNORECASE):
            yield Place(name, line, label, text.strip()[:110])


def _files(arguments: list[str]) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *(arguments or [*PYTHON, *DOCUMENTS])], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    return [ROOT / path for path in dict.fromkeys(listed) if path.endswith((".py", ".md", ".yml"))]


def main() -> int:
    """Print the counts by rule and by folder, or with `--list` each place."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or folders; default: everything")
    parser.add_argument("--list", action="store_true", help="each place, not only the counts")
    options = parser.parse_args()
    found = find(options.paths)
    for place in sorted(found, key=lambda place: (place.path, place.line)) if options.list else ():
        print(f"{place.path}:{place.line}: {place.rule}: {place.text}")
    for label, number in Counter(place.rule for place in found).most_common():
        print(f"{number:6}  {label}: {RULES[label].instead}")
    folders = Counter(place.folder for place in found)
    print("   by folder: " + ", ".join(f"{folder} {number}" for folder, number in folders.most_common()))
    print(f"{len(found):6}  in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
