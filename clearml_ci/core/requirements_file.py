"""Lines of pip requirements: what a requirements file installs, and which versions a task recorded."""

import re

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_COMMENT = re.compile(r"(?:^|\s)#.*$")  # as pip reads it: the `#egg=` of an address is none


_EGG = re.compile(r"://.*[#&]egg=([A-Za-z0-9._-]+)")


# Versions that PEP 440 does not know, as conda and old projects have them: packaging refuses the line.
_OTHER_VERSION = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*([=<>~!][^;]+)(?:;.*)?")


def lines(text: str) -> list[str]:
    """The lines that are neither empty nor a comment, each without a comment at its end."""
    return [line for raw in text.splitlines() if (line := _COMMENT.sub("", raw).strip())]


def versions(text: str) -> dict[str, str]:
    """Version specifiers, without `==`, or addresses, by normalized package name.

    Options of pip and lines that name no package are left out.
    """
    return dict(package for line in lines(text) if (package := _package(line)))


def _package(line: str) -> tuple[str, str] | None:
    if egg := _EGG.search(line):  # an address with a name is no requirement of PEP 508
        return canonicalize_name(egg[1]), line.removeprefix("-e").strip()
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        other = _OTHER_VERSION.fullmatch(line)
        return (canonicalize_name(other[1]), _version(other[2])) if other else None
    return canonicalize_name(requirement.name), requirement.url or _version(str(requirement.specifier))


def _version(specifier: str) -> str:
    return specifier.removeprefix("==").strip()
