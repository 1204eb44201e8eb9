"""Secrets masked: the one place that decides what a text shows when it leaves this process.

A process holds secrets: its environment's, those of clearml.conf, the key of a GitHub App. Its entry point registers
them with `hold`, and no text shows them afterwards, however they are spelled. A text that is not ours, such as a
console, is masked by patterns as well.
"""

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Any

from clearml_ci.core import secret_names, secret_patterns, secret_spellings, secret_values
from clearml_ci.core.formatting import printable, shorten_at_word

_LONGEST = 2_000  # characters of a masked text, and of a line of a console


_READ = 100_000  # characters of a text that are read


_READ_LINES = 300_000  # characters of a console that are read


_MARGIN = 20_000  # characters beyond these, for a secret that reaches over the end


_SHORT = 4_000  # characters of a text whose masked form is kept


_MOST = 500  # lines


_OF_STRANGERS = (*secret_patterns.BY_SHAPE, *secret_patterns.BY_NAME)


_HELD: dict[str, frozenset[str]] = {}  # each secret and its spellings


Patterns = tuple[re.Pattern[str], ...]


secrets_of = secret_values.secrets_of


def hold(secrets: Iterable[str]) -> None:
    """Mask these values, and each line of a key, from now on, in every text that leaves this process."""
    for secret in secrets:
        for part in (secret, *secret_values.lines(secret)):
            if secret_names.is_worth_holding(part):
                _HELD[part] = secret_spellings.spellings(part)
    _short.cache_clear()


def held() -> list[str]:
    """The values that are masked, each once."""
    return sorted(_HELD)


def forget() -> None:
    """Mask no value any more."""
    _HELD.clear()
    _short.cache_clear()


def mask(text: str, *, read: int = _READ) -> str:
    """The first 2,000 characters of a text that is not ours, with `***` for each secret; `read` are looked at.

    Mask a text before you shorten it: half a secret is not recognized. Join lines before: a key has several.
    """
    return _masked(text, _OF_STRANGERS, stop=read)[:_LONGEST]


def mask_lines(lines: Sequence[str]) -> list[str]:
    """The last 500 lines of a console, masked as one text; a secret of several lines becomes one."""
    text = "\n".join(lines)
    shown = min(sum(len(line) + 1 for line in lines[-_MOST:]), _READ_LINES)
    masked = _masked(text, _OF_STRANGERS, start=max(len(text) + 1 - shown, 0)).split("\n")
    return [line[:_LONGEST] for line in masked]


def shows_secret(text: str) -> bool:
    """True if the text has a value that is held, the form of a token, or an address with a password."""
    return bool(_spans(text, secret_patterns.UNMISTAKABLE))


def excerpt(text: str, longest: int) -> str:
    """The first characters of a text as `outgoing`, for a message; those of a secret at the cut are masked as well."""
    return printable(_masked(text, secret_patterns.BY_SHAPE, stop=longest))[:longest]


def line(text: str, longest: int) -> str:
    """A text that is not ours in one line, without secrets, control and direction characters, cut after a word."""
    return shorten_at_word(printable(" ".join(mask(text).split()), keep=""), longest)


def outgoing(text: str) -> str:
    """A text as it may leave this process: without the values that it holds, control and direction characters."""
    return printable(_masked(text, secret_patterns.BY_SHAPE))


def outgoing_body(text: str) -> str:
    """The body of a comment or an issue as `outgoing`; the hidden lines at its head stay: they hold public names."""
    hidden, shown = _split_hidden(text)
    return hidden + outgoing(shown)


def outgoing_document(value: Any) -> Any:
    """A JSON document with all its texts as `outgoing`; names, numbers and outcomes stay."""
    if isinstance(value, dict):
        return {name: outgoing_document(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [outgoing_document(below) for below in value]
    return outgoing(value) if isinstance(value, str) and not isinstance(value, Enum) else value


def _masked(text: str, patterns: Patterns, *, start: int = 0, stop: int | None = None) -> str:
    """The text from `start` to `stop` without secrets, also without those that reach over one of these places."""
    if not start and len(text) <= min(_SHORT, len(text) if stop is None else stop):
        return _short(text, patterns)
    first = max(start - _MARGIN, 0)
    stop = len(text) if stop is None else min(stop, len(text))
    read = text[first : stop + _MARGIN]
    return secret_spellings.masked(read, _spans(read, patterns), start=start - first, stop=stop - first)


@lru_cache(maxsize=4_096)
def _short(text: str, patterns: Patterns) -> str:
    """A short text without secrets. A report is made several times of the same names, until it fits."""
    return secret_spellings.masked(text, _spans(text, patterns), start=0, stop=len(text))


def _spans(text: str, patterns: Patterns) -> list[secret_spellings.Span]:
    forms = (form for forms in _HELD.values() for form in forms)
    return [*(secret_spellings.found(text, forms) if _HELD else ()), *secret_patterns.found(text, patterns)]


def _split_hidden(text: str) -> tuple[str, str]:
    end = 0
    while text.startswith("<!-- clearml-ci", end):
        line = text.find("-->", end)
        if line < 0:
            break
        end = line + len("-->") + (text[line + 3 : line + 4] == "\n")
    return text[:end], text[end:]
