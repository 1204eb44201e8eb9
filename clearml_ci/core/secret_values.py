"""The values of an environment or a configuration that are secrets, by the names that hold them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from clearml_ci.core.outcome import Outcome

SHORTEST = 6  # characters; a shorter value occurs in ordinary words


_SHORTEST_LINE = 16  # characters of one line of a key


_NAMES = re.compile(
    r"(?i)token(?!i[sz])|secret|passw|passphrase|credential|cookie|"
    r"(?:api|access|account|private|secret|signing|encryption|deploy|ssh|master)[_.-]?key|(?:^|[_.-])(?:pass|pat|pwd)$"
)


_NOT_SECRET = re.compile(
    r"(?i)[_.-](?:id|name|file|path|dir|folder|url|uri|host|port|user|username|type|mode|ttl|sec|seconds|count|limit)$"
)


_HOOKS = re.compile(r"(?i)web_?hook")  # the address itself is the secret


_PUBLIC = re.compile(r"(?i)(?:user|username|login|actor|owner|repository|host|hostname)$")


_USERINFO = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s:@]*:(.+)@[^@]+$", re.IGNORECASE)


_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]*://\S*|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?")


_NUMBER = re.compile(r"[-+]?[\d.,_]+(?:e[-+]?\d+)?", re.IGNORECASE)


# Words of settings and of this program's own documents: they hide nothing, and masked ones break a document.
_WORDS = frozenset(
    ["false", "disabled", "enabled", "default", "required", "optional", "inherit", "success", "failure", "pending"]
) | {str(outcome) for outcome in Outcome}


_PEM_HEADER = re.compile(r"-----(?:BEGIN|END) [A-Z ]+-----")


def secrets_of(named: Mapping[str, object]) -> frozenset[str]:
    """The secrets of an environment or a configuration tree.

    A value counts if its name is a secret's, or if it is an address with a password. Short values, numbers, words of
    settings, addresses, and names of users and hosts do not.
    """
    pairs = list(_pairs("", named))
    public = {value for name, value in pairs if _PUBLIC.search(name)}
    return frozenset(secret for name, value in pairs for secret in _secrets(name, value)) - public


def _pairs(name: str, value: object) -> Iterator[tuple[str, str]]:
    """The texts of a tree, each with the nearest name above it; a text that is a JSON object counts as a tree."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            yield from _pairs(str(key), below)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for below in value:
            yield from _pairs(name, below)
    elif isinstance(value, str):
        yield name, value.strip()
        if value.lstrip().startswith("{"):
            yield from _pairs(name, _json(value))


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _secrets(name: str, value: str) -> list[str]:
    password = _USERINFO.match(value)
    found = [password[1], value] if password else []
    if _HOOKS.search(name):
        found.append(value)
    elif _NAMES.search(name) and not _NOT_SECRET.search(name) and not _ADDRESS.fullmatch(value):
        found.append(value.replace("\\n", "\n"))
    return [secret for secret in found if is_worth_holding(secret)]


def is_worth_holding(value: str) -> bool:
    """True for a value of six characters or more, except numbers and words of settings."""
    return len(value) >= SHORTEST and value.lower() not in _WORDS and not _NUMBER.fullmatch(value)


def lines(secret: str) -> list[str]:
    """The lines of a secret that has several and that each give a part of it away."""
    stripped = [line.strip() for line in secret.splitlines()]
    return [line for line in stripped if len(line) >= _SHORTEST_LINE and not _PEM_HEADER.fullmatch(line)]
