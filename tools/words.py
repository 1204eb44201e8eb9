"""Count the words that CONTRIBUTING.md's rules forbid: `python -m tools.words [PATH ...]`, or with `--list` each place.

Read are docstrings, comments, texts and names of Python files, and the Markdown and YAML files of the documentation.
"""

import argparse
import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Each rule, and what to write instead.
TEXT_RULES = {
    "unnamed actor": (r"\b(nobody|somebody|strangers?|whoever)\b", "name the actor: job, step, agent, GitHub, user"),
    "tell, say, speak": (
        r"\b(tells?|told|telling|says?|said|saying|speaks?|spoken?|speaking|voice)\b",
        "report, post, log, print, warn, name, state",
    ),
    "overrule": (r"\boverrul\w+", "override"),
    "at once": (r"\bat once\b", "concurrently, or immediately"),
    "where as a condition": (r"\bwhere\b", "if; `where` is for places"),
    "riddle": (r"\b(in vain|there is never no|no word|its word|the word)\b", "state the fact"),
}
NAME_RULES = {
    "vague name": (
        r"^_?(wanted|asked|told|said|tell|say|voice|one|ones|again|thing|things|silence|cells|folded|handover|moving"
        r"|settling|overruled|carry)$",
        "the field's term: check, task, run, gate, message, ...",
    )
}
_QUESTION = r"^(what|who|whom|whose|which|where|when|whether|how|why|is|are|does|do|did|has|have|can|may)\b|\?$"
DOCSTRING_RULES = {"question": (_QUESTION, "begin with what it does or returns: a verb or a noun phrase")}
PYTHON = ("ci_trigger.py", "clearml_ci", "pipelines", "steps", "sandbox", "tools", "tests")
DOCUMENTS = ("*.md", "docs/*.md", ".github/*.md", ".github/**/*.yml", "action.yml", "sandbox/**/*.md")


@dataclass(frozen=True)
class Place:
    """One forbidden word: `line` counts from 1."""

    path: str
    line: int
    rule: str
    text: str


def places(path: Path) -> Iterator[Place]:
    """Each forbidden word of a file."""
    text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
    if path.suffix != ".py":
        for number, line in enumerate(text.splitlines(), 1):
            yield from _matches(name, number, line, TEXT_RULES)
        return
    yield from _in_comments_and_texts(name, text)
    for node in ast.walk(ast.parse(text)):
        for identifier in _names(node):
            yield from _matches(name, getattr(node, "lineno", 1), identifier, NAME_RULES)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (doc := ast.get_docstring(node)):
            first = doc.splitlines()[0]
            yield from _matches(name, getattr(node, "lineno", 1), first, DOCSTRING_RULES)


def _in_comments_and_texts(name: str, text: str) -> Iterator[Place]:
    read = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in read:
            for offset, line in enumerate(token.string.splitlines()):
                yield from _matches(name, token.start[0] + offset, line, TEXT_RULES)


def _names(node: ast.AST) -> Iterator[str]:
    """The identifiers that this node introduces."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id


def _matches(name: str, line: int, text: str, rules: dict[str, tuple[str, str]]) -> Iterator[Place]:
    for rule, (pattern, _) in rules.items():
        for _found in re.finditer(pattern, text, re.IGNORECASE):
            yield Place(name, line, rule, text.strip()[:110])


def files(arguments: list[str]) -> list[Path]:
    """The files to read: those named, or all that git tracks of the product, the tests and the documents."""
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
    found = [place for path in files(options.paths) for place in places(path)]
    for place in found if options.list else ():
        print(f"{place.path}:{place.line}: {place.rule}: {place.text}")
    for rule, number in Counter(place.rule for place in found).most_common():
        print(f"{number:6}  {rule}: {dict(TEXT_RULES | NAME_RULES | DOCSTRING_RULES)[rule][1]}")
    folders = Counter("/".join(place.path.split("/")[:2]) for place in found)
    print("   by folder: " + ", ".join(f"{folder} {number}" for folder, number in folders.most_common()))
    print(f"{len(found):6}  in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
