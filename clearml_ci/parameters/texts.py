"""Values as texts: in the `Args` of a ClearML run and in a job's environment every value is one.

Each function reads a text of one kind; `name` is the parameter's, for the message of a UsageError.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.redaction import excerpt

_ADDRESS_OR_OPTION = re.compile(r"[a-z+]+://|[a-z+]+@|\.{0,2}/|--?[a-z]", re.IGNORECASE)


_COMMIT = re.compile(r"[0-9a-f]{40}")


def line(text: str, name: str = "") -> str:  # noqa: ARG001  any text is one
    """The text without spaces at its ends."""
    return text.strip()


def without_secret(text: str, name: str) -> str:
    """The text, if it holds no secret: GitHub shows it as it is."""
    if redaction.shows_secret(text):
        raise UsageError(f"{name} holds a token or a password, and GitHub shows it: write another text")
    return text


def choice(text: str, name: str, known: Mapping[str, Any], *, expected: str = "") -> Any:
    """The value of one of the known words, in any case."""
    word = text.strip().lower()
    if word not in known:
        close = "".join(f"; did you mean '{near}'?" for near in difflib.get_close_matches(word, known, n=1))
        raise UsageError(f"{name} is {excerpt(text, 60)!r}: expected {expected or ' or '.join(known)}{close}")
    return known[word]


def commit(text: str, name: str) -> str:
    """A full commit hash, in lower case."""
    sha = text.strip().lower()
    if not sha:
        raise UsageError(f"{name} is empty: give the full hash of the pull request's head commit")
    if not _COMMIT.fullmatch(sha):
        raise UsageError(f"{name} is {excerpt(sha, 60)!r}: expected the 40 hexadecimal digits of a full commit hash")
    return sha


def optional_commit(text: str, name: str) -> str:
    """A full commit hash, or an empty text."""
    return commit(text, name) if text.strip() else ""


def seconds(text: str, name: str) -> float:
    """A finite number above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise UsageError(f"{name} is {excerpt(text, 60)!r}: expected a number of seconds, such as 600")
    return number


def percent(text: str, name: str) -> float:
    """A finite number that is not negative, with or without a percent sign."""
    number = _number(text.strip().removesuffix("%"))
    if not 0 <= number < math.inf:
        raise UsageError(
            f"{name} is {excerpt(text, 60)!r}: expected a percentage of the baseline's value, such as 3 or 0.5"
        )
    return number


def digit(text: str, name: str) -> int:
    """A number from 0 to 9."""
    if not re.fullmatch(r"[0-9]", text.strip()):
        raise UsageError(f"{name} is {excerpt(text, 60)!r}: expected a number from 0 to 9")
    return int(text)


def repeats(text: str, name: str) -> int:
    """A number from 0 to 4."""
    if not re.fullmatch(r"[0-4]", text.strip()):
        raise UsageError(f"{name} is {excerpt(text, 60)!r}: expected a number from 0 to 4")
    return int(text)


def hours(text: str, name: str) -> float:
    """A finite number above 0."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise UsageError(f"{name} is {excerpt(text, 60)!r}: expected a number of hours, such as 8 or 0.5")
    return number


def tag(text: str, name: str) -> str:
    """A tag of a task. ClearML's queries read a leading `-` as "not", and `__$` as an operator."""
    if text.strip().startswith(("-", "__$")):
        raise UsageError(f"{name} is {text.strip()!r}: a tag must not begin with '-' or '__$'")
    return text.strip()


def new_task_name(text: str, name: str) -> str:
    """The name of a task that is to be created."""
    if len(text.strip()) < 3:
        raise UsageError(f"{name} is {text.strip()!r}: ClearML refuses names of fewer than 3 characters")
    return text.strip()


def new_project(text: str, name: str) -> str:
    """The name of a project that is to be created, as are those above it."""
    new_task_name(text.partition("/")[0], name)
    return text.strip()


def path(text: str, name: str) -> str:
    """A path in the repository."""
    relative = text.strip(" \t")
    if relative.startswith("/") or ".." in PurePosixPath(relative).parts or "\n" in relative:
        raise UsageError(f"{name} is {relative!r}: expected a path relative to the repository's root, without '..'")
    return relative


def module(text: str, name: str = "") -> str:  # noqa: ARG001
    """A Python module with its arguments."""
    return text.strip().removeprefix("-m ").strip()


def names(text: str, name: str = "") -> tuple[str, ...]:  # noqa: ARG001
    """Names, one in each line or separated by commas, each once."""
    return tuple(dict.fromkeys(part.strip() for part in re.split(r"[,\n]", text) if part.strip()))


def quoted(items: Iterable[str]) -> str:
    """The items in one line, those with a space or a semicolon first and in quotes; in lines if that is impossible."""
    texts = sorted(items, key=lambda item: not _needs_quotes(item))
    if any(_needs_quotes(item) and "'" in item and '"' in item for item in texts):
        return "\n".join(texts)
    marks = {item: '"' if "'" in item else "'" for item in texts if _needs_quotes(item)}
    return " ".join(f"{marks.get(item, '')}{item}{marks.get(item, '')}" for item in texts)


def _needs_quotes(item: str) -> bool:
    return bool(re.search(r"[\s;]|^['\"]", item))


def _unquoted(line: str) -> tuple[list[str], str]:
    """The quoted items at the start of a line, and its rest."""
    found = []
    while item := re.match(r"""\s*(?:'([^']+)'|"([^"]+)")(?=\s|$)""", line):
        found.append(item[1] or item[2])
        line = line[item.end() :]
    return found, line.strip()


def requirements(text: str, name: str = "") -> tuple[str, ...]:  # noqa: ARG001
    """Packages, separated by lines, and by spaces or commas if another one begins after them: not in `torch>=2,<3`.

    Those in quotes stand at the start of a line.
    """
    return tuple(package for line in text.splitlines() for package in _packages_of_line(line))


def assignments(text: str, name: str) -> tuple[tuple[str, str], ...]:
    """Names and values of `a=1 b=2`; in quotes at the start, or one in each line, a value may hold spaces."""
    first, rest = _unquoted(text)
    items = [*first, *(rest.splitlines() if "\n" in rest else rest.split())]
    pairs = [item.strip().partition("=") for item in items if item.strip()]
    for key, sign, value in pairs:
        if not sign or not key.strip():
            raise UsageError(f"{name} has {key + sign + value!r}: expected name=value, such as epochs=1")
    return tuple((key.strip().lstrip("-"), value.strip()) for key, _, value in pairs)


def _packages_of_line(line: str) -> list[str]:
    first, rest = _unquoted(line)
    return [*first, *_packages(rest)]


def _packages(line: str) -> list[str]:
    found: list[str] = []
    for separator, part in re.findall(r"([,\s]*)([^,\s]+)", line):
        if found and (_is_open(found[-1]) or not _begins_package(part)):
            found[-1] += separator + part
        else:
            found.append(part)
    return found


def _is_open(package: str) -> bool:
    """True if more of this package follows: a version, an address, extras, or the rest of a marker."""
    return package.endswith(("<", ">", "=", "~", "@")) or package.count("[") > package.count("]") or ";" in package


def _begins_package(part: str) -> bool:
    try:
        Requirement(part.partition("[")[0].partition(";")[0])
    except InvalidRequirement:
        return bool(_ADDRESS_OR_OPTION.match(part))
    return True


def _number(text: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        return math.nan
