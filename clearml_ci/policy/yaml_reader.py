"""The policy file's text as data, with the line of every key: messages without a line do not help.

YAML is read as editors read it (1.2): `off`, `on`, `yes` and `no` are texts, `1:30` is no number, and `1e-3` is one.
What a policy never needs is refused, because it is how a small file becomes a large or a surprising one: aliases,
tags, deep nesting.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from clearml_ci.policy.problems import Path, Problem

LARGEST = 64 * 1024  # bytes


DEEPEST = 10  # levels; a policy has four


_PLAIN = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
}


@dataclass(frozen=True)
class Located:
    """`lines` maps the path of each key and item to its line, from 1."""

    data: object
    lines: dict[Path, int]
    problems: list[Problem]


class _Loader(yaml.SafeLoader):
    """Composes nodes, and refuses while it reads: what is refused is never built."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        parser: Any = self
        event = parser.peek_event()
        self.depth += 1
        for wrong, text in (
            (isinstance(event, yaml.AliasEvent), "an alias; allowed: the value written out"),
            (getattr(event, "tag", None) is not None, "a tag; allowed: values without one"),
            (self.depth > DEEPEST, f"more than {DEEPEST} levels; allowed: fewer"),
        ):
            if wrong:
                raise _Refused(None, None, text, event.start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Refused(yaml.MarkedYAMLError):
    """YAML that is in order, and more than a policy may hold."""


_Loader.yaml_implicit_resolvers = {}


for _kind, _form in _PLAIN.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_kind}", re.compile(rf"({_form})\Z"), None)


def read(text: str) -> Located:
    """The data and all that is wrong with the text itself; data is None where it is no YAML at all."""
    if len(text.encode("utf-8", "replace")) > LARGEST:
        return _unreadable(1, "the file", f"found more than {LARGEST:,} bytes; allowed: at most {LARGEST:,}")
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        return _unreadable(line, f"column {column}", _told(error))
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        column = len(before) - before.rfind("\n")
        return _unreadable(before.count("\n") + 1, f"column {column}", f"this is no YAML: {error.reason}")
    lines: dict[Path, int] = {(): 1}
    problems: list[Problem] = []
    data = _data(node, (), lines, problems) if node else None
    return Located(data, lines, problems)


def _unreadable(line: int, where: str, text: str) -> Located:
    return Located(None, {}, [Problem(line, where, text)])


def _told(error: yaml.MarkedYAMLError) -> str:
    if isinstance(error, _Refused):
        return f"found {error.problem}"
    parts = [one for one in (error.context, error.problem) if one]
    return f"this is no YAML: {', '.join(parts)}"


def _data(node: Node, path: Path, lines: dict[Path, int], problems: list[Problem]) -> object:
    if isinstance(node, MappingNode):
        return {
            name: _data(value, (*path, name), lines, problems) for name, value in _keys(node, path, lines, problems)
        }
    if isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
        return [_data(item, (*path, index), lines, problems) for index, item in enumerate(node.value)]
    return _value(node)


def _keys(node: MappingNode, path: Path, lines: dict[Path, int], problems: list[Problem]) -> Iterator[tuple[str, Node]]:
    """The mapping's keys with their values; YAML itself would let the last of two equal keys win in silence."""
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, ScalarNode):
            problems.append(Problem.at(path, line, "found a key that is a list or a mapping; allowed: a text"))
        elif (*path, key.value) in lines:
            first = lines[(*path, key.value)]
            problems.append(Problem.at((*path, key.value), line, f"found again (first in line {first}); allowed: once"))
        else:
            lines[(*path, key.value)] = line
            yield key.value, value


def _value(node: Node) -> str | float | bool | None:
    kind = node.tag.rpartition(":")[2]
    if kind == "null":
        return None
    if kind == "bool":
        return bool(node.value.lower() == "true")
    if kind in ("int", "float"):
        return _number(node.value, whole=kind == "int")
    return str(node.value)


def _number(text: str, *, whole: bool) -> str | float:
    """A number, or the text itself where it is larger than any finite number."""
    number = float(text)
    if not math.isfinite(number):
        return text
    return int(text) if whole else number
