"""Secrets masked: the one place that decides what a text shows when it leaves this process.

A process holds secrets: its environment's, those of clearml.conf, the key of a GitHub App. Its entry point registers
them with `hold`, and no text shows them afterwards, however they are spelled. A text that is not ours, such as a
console, is masked by patterns as well.
"""

from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any

from clearml_ci.core import secret_names, secret_patterns, secret_spellings, secret_values
from clearml_ci.core.formatting import printable

_LONGEST = 2_000  # characters of a masked text


_READ = 100_000  # characters of a text that are read


_MOST = 500  # lines


_HELD: dict[str, frozenset[str]] = {}  # each secret and its spellings


secrets_of = secret_values.secrets_of


def hold(secrets: Iterable[str]) -> None:
    """Mask these values, and each line of a key, from now on, in every text that leaves this process."""
    for secret in secrets:
        for part in (secret, *secret_values.lines(secret)):
            if secret_names.is_worth_holding(part):
                _HELD[part] = secret_spellings.spellings(part)


def held() -> list[str]:
    """The values that are masked, each once."""
    return sorted(_HELD)


def forget() -> None:
    """Mask no value any more."""
    _HELD.clear()


def mask(text: str) -> str:
    """The first 2,000 characters of a text that is not ours, with `***` for each secret.

    Mask a text before you shorten it: half a secret is not recognized. Join lines before: a key has several.
    """
    return _mask(text[:_READ])[:_LONGEST]


def shows_secret(text: str) -> bool:
    """True if the text has a value that is held, the form of a token, or an address with a password."""
    return secret_patterns.masked(_by_value(text), secret_patterns.UNMISTAKABLE) != text


def mask_lines(lines: Sequence[str]) -> list[str]:
    """The last 500 lines of a console, masked as one text; a secret of several lines becomes one."""
    return _mask("\n".join(line[:_LONGEST] for line in lines[-_MOST:])).split("\n")


def outgoing(text: str) -> str:
    """A text as it may leave this process: without the values that it holds, control and direction characters.

    The hidden lines at the head of a comment or an issue stay as they are: they hold public names.
    """
    hidden, shown = _split_hidden(text)
    return hidden + printable(secret_patterns.masked(_by_value(shown), secret_patterns.BY_SHAPE))


def outgoing_document(value: Any) -> Any:
    """A JSON document with all its texts as `outgoing`; names, numbers and outcomes stay."""
    if isinstance(value, dict):
        return {name: outgoing_document(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [outgoing_document(below) for below in value]
    return outgoing(value) if isinstance(value, str) and not isinstance(value, Enum) else value


def _mask(text: str) -> str:
    text = secret_patterns.masked(_by_value(text), secret_patterns.BY_SHAPE)
    return secret_patterns.masked(text, secret_patterns.BY_NAME)


def _by_value(text: str) -> str:
    return secret_spellings.replaced(text, (form for forms in _HELD.values() for form in forms)) if _HELD else text


def _split_hidden(text: str) -> tuple[str, str]:
    end = 0
    while text.startswith("<!-- clearml-ci", end):
        line = text.find("-->", end)
        if line < 0:
            break
        end = line + len("-->") + (text[line + 3 : line + 4] == "\n")
    return text[:end], text[end:]
