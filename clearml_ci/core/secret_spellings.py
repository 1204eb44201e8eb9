"""Find a secret in a text however it is written there: split over lines, escaped, URL-encoded or in base64."""

import base64
import html
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from clearml_ci.core.formatting import INVISIBLE

MASKED = "***"


_SHORTEST = 6  # characters of a spelling; a shorter one occurs by chance


# What a text can have in the place, or between two characters, of a secret: the first three stand for a character.
_WRITTEN = re.compile(
    r"%(?P<url>[0-9A-Fa-f]{2})|\\u(?P<json>[0-9A-Fa-f]{4})|(?P<html>&(?:amp|lt|gt|quot|\#39|\#x27);)"
    rf"|\\[nrt]|\\|\s|{INVISIBLE}"
)


def spellings(secret: str) -> frozenset[str]:
    """All that `replaced` has to look for to find this secret."""
    data = secret.encode()
    written = [secret, quote(secret, safe=""), quote_plus(secret), *_in_base64(data)]
    return frozenset(plain for text in written if len(plain := _plain(text)[0]) >= _SHORTEST)


def replaced(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` in the place of each of these spellings."""
    plain, places = _plain(text)
    found = sorted(span for secret in secrets for span in _spans(plain, secret))
    result, end = [], 0
    for start, stop in found:
        first, last = places[start][0], places[stop - 1][1]
        if first >= end:
            result += [text[end:first], MASKED]
        end = max(end, last)
    return "".join([*result, text[end:]])


def _in_base64(data: bytes) -> list[str]:
    """The base64 of the data wherever it begins within a longer text: the characters that no neighbor changes."""
    found = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data + b"\0\0").decode()
        kept = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found += [kept, kept.translate(str.maketrans("+/", "-_"))]
    return found


def _plain(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text decoded and without what may split a secret, and the place of each character in the text."""
    parts: list[str] = []
    places: list[tuple[int, int]] = []
    end = 0
    for found in _WRITTEN.finditer(text):
        parts.append(text[end : found.start()])
        places += [(place, place + 1) for place in range(end, found.start())]
        if sign := _sign(found):
            parts.append(sign)
            places.append(found.span())
        end = found.end()
    places += [(place, place + 1) for place in range(end, len(text))]
    return "".join([*parts, text[end:]]), places


def _sign(found: re.Match[str]) -> str:
    """The character that this stands for; "" if it only stands between two."""
    code = found["url"] or found["json"]
    sign = chr(int(code, 16)) if code else html.unescape(found["html"] or "")
    return "" if sign.isspace() else sign


def _spans(text: str, secret: str) -> list[tuple[int, int]]:
    spans, start = [], text.find(secret)
    while start >= 0:
        spans.append((start, start + len(secret)))
        start = text.find(secret, start + 1)
    return spans
