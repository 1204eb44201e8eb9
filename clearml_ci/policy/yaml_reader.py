"""The policy file's text as data, with the line of every key.

YAML 1.2, as editors read it: `off`, `on`, `yes` and `no` are texts, `1:30` is no number, and `1e-3` is one. Refused is
what a policy never needs and what makes a small file large or surprising: aliases, tags, deep nesting.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.composer import Composer, MaxDepthExceededError
from ruamel.yaml.constructor import RoundTripConstructor, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode
from ruamel.yaml.reader import ReaderError

from clearml_ci.policy.problems import Path, Problem

LARGEST = 64 * 1024  # bytes


DEEPEST = 10  # levels; a policy has four


_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


_TEXT = "tag:yaml.org,2002:str"


LeftOut = dict[int, list[tuple[object, int]]]


@dataclass(frozen=True)
class Located:
    """`lines` maps the path of each key and item to its line, from 1."""

    data: object
    lines: dict[Path, int]
    problems: list[Problem]


class _RefusedError(MarkedYAMLError):
    """YAML that is well-formed, and more than a policy may hold."""


class _Composer(Composer):
    """Refuses while it reads: what is refused is never built. A key is a text, also `1`, `true` and `<<`."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.parser.peek_event()
        if isinstance(event, AliasEvent):
            raise _RefusedError(problem="an alias; allowed: the value written out", problem_mark=event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise _RefusedError(problem="a tag; allowed: values without one", problem_mark=event.start_mark)
        node = super().compose_node(parent, index)
        if isinstance(parent, MappingNode) and index is None and isinstance(node, ScalarNode):
            node.tag = _TEXT
        return node


class _Constructor(RoundTripConstructor):
    """Builds plain values; `left_out` are the keys that a mapping (by its id) cannot hold, each with its line."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.left_out: LeftOut = defaultdict(list)

    def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:  # noqa: ARG002
        if isinstance(key, str) and key not in mapping:
            return True
        self.left_out[id(mapping)].append((key, key_node.start_mark.line + 1))
        return False

    def construct_number(self, node: Any) -> str | float:
        """A finite decimal number; all other numbers of YAML (`.nan`, `0x1F`, `1_000`, `1e999`) stay texts."""
        text = str(node.value)
        if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
            return text
        return int(text) if text.lstrip("+-").isdigit() else float(text)


for _kind in ("str", "timestamp", "merge", "value"):
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", SafeConstructor.construct_yaml_str)


for _kind in ("int", "float"):
    _Constructor.add_constructor(f"tag:yaml.org,2002:{_kind}", _Constructor.construct_number)


_Constructor.add_constructor("tag:yaml.org,2002:bool", SafeConstructor.construct_yaml_bool)


def read(text: str) -> Located:
    """The data and all that is wrong with the text itself; data is None if it is no YAML at all."""
    if len(text.encode("utf-8", "replace")) > LARGEST:
        return _unreadable(1, "the file", f"found more than {LARGEST:,} bytes; allowed: at most {LARGEST:,}")
    yaml = YAML()
    yaml.Composer, yaml.Constructor, yaml.max_depth = _Composer, _Constructor, DEEPEST
    try:
        data = yaml.load(text)
    except MarkedYAMLError as error:
        mark: Any = error.problem_mark or error.context_mark
        return _unreadable(mark.line + 1, f"column {mark.column + 1}", _reason(error))
    except ReaderError as error:
        before = text[: error.position]
        column = len(before) - before.rfind("\n")
        return _unreadable(before.count("\n") + 1, f"column {column}", f"this is no YAML: {error.reason}")
    lines = {(): 1, **dict(_lines(data, ()))}
    return Located(data, lines, list(_problems(data, (), lines, yaml.constructor.left_out)))


def _unreadable(line: int, place: str, text: str) -> Located:
    return Located(None, {}, [Problem(line, place, text)])


def _reason(error: MarkedYAMLError) -> str:
    if isinstance(error, MaxDepthExceededError):
        return f"found more than {DEEPEST} levels; allowed: fewer"
    if isinstance(error, _RefusedError):
        return f"found {error.problem}"
    parts = [part for part in (error.context, error.problem) if part]
    return f"this is no YAML: {', '.join(parts)}".replace("('", "'").replace("',)", "'")  # it prints one tuple as it is


def _children(data: object) -> list[tuple[str | int, Any]]:
    if isinstance(data, CommentedMap):
        return list(data.items())
    return list(enumerate(data)) if isinstance(data, CommentedSeq) else []


def _lines(data: Any, path: Path) -> Iterator[tuple[Path, int]]:
    for key, value in _children(data):
        yield (*path, key), data.lc.data[key][0] + 1
        yield from _lines(value, (*path, key))


def _problems(data: Any, path: Path, lines: dict[Path, int], left_out: LeftOut) -> Iterator[Problem]:
    """The keys that were left out; YAML itself would let the last of two equal keys win silently."""
    for key, line in left_out.get(id(data), ()):
        if isinstance(key, str):
            first = lines[(*path, key)]
            yield Problem.at((*path, key), line, f"found again (first in line {first}); allowed: once")
        else:
            yield Problem.at(path, line, "found a key that is a list or a mapping; allowed: a text")
    for key, value in _children(data):
        yield from _problems(value, (*path, key), lines, left_out)
