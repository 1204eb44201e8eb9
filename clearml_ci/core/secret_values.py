"""The values of an environment or a configuration that are secrets, also those within a text, a JSON or an address."""

import base64
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from clearml_ci.core.secret_names import is_like_a_token, is_public, is_secret, is_worth_holding

_SHORTEST_LINE = 16  # characters of one line of a secret


_SHORTEST_OF_A_KEY = 8  # characters of one line of a private key, whose last one may be short


_PEM_HEADER = re.compile(r"-----(?:BEGIN|END) [A-Z ]+-----")


_URL = re.compile(r"(?i)[a-z][a-z0-9+.-]{0,40}://([^\s\"'<>]+)")


_PORT = re.compile(r"\d{1,5}(?:[/?#]|$)")


# A value in quotes, or to its end; not taken, so that a value may hold names of its own.
_VALUE = r"(?=(?P<{}>\"[^\"\n]{{1,1000}}|'[^'\n]{{1,1000}}|[^\s\"'][^\s\"']{{0,1000}}))"


# `NAME=value`, `name: value`, `--name value`, and the password of a netrc.
_ASSIGNED = re.compile(
    r"(?<![\w.-])(?P<name>[A-Za-z_][\w.-]{0,80})[\"']?[ \t]?[=:][ \t]?(?:(?:Bearer|Basic|token)[ \t]+)?"
    + _VALUE.format("value")
)


_OPTION = re.compile(r"(?<!\S)(?:--?(?=[A-Za-z])|(?=password))(?P<name>[\w-]{1,80})[ \t]+" + _VALUE.format("value"))


_NEXT = re.compile(r"[;&,]")  # may end a value, or be a part of it


_OF_STRANGERS = re.compile(r"(?i)^github_")  # texts of the event, such as the name of a branch


_BASE64 = re.compile(r"[A-Za-z0-9+/\s_-]{8,}={0,2}\s*")


def secrets_of(named: Mapping[str, object]) -> frozenset[str]:
    """The secrets of an environment or a configuration tree.

    A value counts if its name is a secret's. Within a value count the password of an address, and what is given to a
    secret's name. Short values, words of settings, and names of users and hosts do not.
    """
    pairs = list(_pairs(named))
    public = {value for name, value in pairs if is_public(name)}
    found = (secret for name, value in pairs for secret in _secrets(name, value))
    return frozenset(secret for secret in found if is_worth_holding(secret)) - public


def lines(secret: str) -> list[str]:
    """The lines of a secret that has several and that each give a part of it away."""
    stripped = [line.strip() for line in secret.splitlines()]
    shortest = _SHORTEST_OF_A_KEY if stripped and _PEM_HEADER.fullmatch(stripped[0]) else _SHORTEST_LINE
    return [line for line in stripped if len(line) >= shortest and not _PEM_HEADER.fullmatch(line)]


def _pairs(tree: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The texts of a tree, each with the nearest name above it; a text that is JSON counts as a tree."""
    left: list[tuple[str, object]] = [("", tree)]
    while left:
        name, value = left.pop()
        if isinstance(value, Mapping):
            left += [(str(key), below) for key, below in value.items()]
        elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
            left += [(name, below) for below in value]
            yield "", " ".join(below for below in value if isinstance(below, str))  # `["--password", "x"]`
        elif isinstance(value, str):
            plain = _decoded(value.strip())
            document = _json(plain)
            left += [] if document is None else [(name, document)]
            yield from [] if document is not None else [(name, text) for text in {plain, value.strip()}]


def _decoded(text: str) -> str:
    """The text, decoded if it is base64 of JSON, of a private key or of a user with a password."""
    if not _BASE64.fullmatch(text):
        return text
    try:
        decoded = base64.b64decode("".join(text.split()), altchars="-_" if re.search("[-_]", text) else None).decode()
    except ValueError:
        return text
    return decoded if re.match(r"[\[{]|-----BEGIN |[\w.@-]+:[!-~]+\Z", decoded.strip()) else text


def _json(text: str) -> object:
    if not text.startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _secrets(name: str, value: str) -> Iterator[str]:
    if is_secret(name, value):
        yield value.replace("\\n", "\n")
        yield from _passwords(value)
    if not _OF_STRANGERS.search(name):
        yield from _of_addresses(value)
        yield from _given(value)


def _passwords(value: str) -> Iterator[str]:
    """The password of `user:password`, as base64 has it."""
    user, sign, password = value.partition(":")
    if sign and re.fullmatch(r"[\w.@-]+", user):
        yield password


def _of_addresses(text: str) -> Iterator[str]:
    """The passwords of a text's addresses, which may hold `@` and `/`, and the addresses; a user may be a token."""
    for found in _URL.finditer(text):
        for before in {found[1].partition("@")[0], found[1].rpartition("@")[0]} if "@" in found[1] else ():
            user, sign, password = before.partition(":")
            if password and "/" not in user and not _PORT.match(password):
                yield from (password, found[0])
            if not sign and is_like_a_token(user):
                yield user


def _given(text: str) -> Iterator[str]:
    """The values that a text assigns to names of secrets."""
    for found in itertools.chain(_ASSIGNED.finditer(text), _OPTION.finditer(text)):
        value = found["value"].strip("\"'")
        if is_secret(found["name"], value):
            yield from (value, _NEXT.split(value)[0])
            yield from _passwords(_decoded(value))
