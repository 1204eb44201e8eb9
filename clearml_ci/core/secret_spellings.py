"""Find a secret in a text however it is written there: split, colored, escaped, as hexadecimal digits or in base64."""

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote_plus

from clearml_ci.core.formatting import INVISIBLE

MASKED = "***"


Span = tuple[int, int]


_SHORTEST = 6  # characters of a spelling; a shorter one occurs by chance


_MOST_OFTEN = 3  # times that a text is decoded: an address in JSON in HTML


# Between two characters: marks and blanks that no reader sees, the borders of a box, and what `printable` writes.
_UNSEEN = (
    rf"{INVISIBLE}|[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u2500-\u259f\u2800\u3164\uffa0\ufe00-\ufe0f\ufffd]"
    r"|[\U000e0100-\U000e01ef]"
)


# A color, or a link, of a terminal: before and after `printable` and Markdown.
_TERMINAL = r"[\x1b\ufffd]\\?\[[0-9;:?]*[A-Za-z]|[\x1b\ufffd]\\?\][^\x07\x1b\ufffd\n]*(?:\x07|\x1b\\|\ufffd)"


# A character by its number or name.
_ESCAPED = (
    r"%(?P<url>[0-9A-Fa-f]{2})|\\{1,8}u\{?(?P<json>[0-9A-Fa-f]{4})\}?|\\{1,8}x(?P<byte>[0-9A-Fa-f]{2})|\\(?P<octal>[0-3][0-7]{2})"
    r"|(?P<html>&(?:\#[0-9]{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
)


_READABLE = re.compile(rf"{_TERMINAL}|{_ESCAPED}|(?:{_UNSEEN})+")


_JOINED = re.compile(rf"{_TERMINAL}|{_ESCAPED}|\\[nrt]|(?:\\(?![ux0-3nrt])|\s|{_UNSEEN})+|\\")


_BETWEEN_DIGITS = re.compile(r"0[xX](?=[0-9A-Fa-f]{2})|[,:;'\"-]+")


# A line of `xxd` and `hexdump -C`: the place, up to 16 bytes, and their characters.
_DUMPED = re.compile(
    r"(?m)^[ \t]*[0-9A-Fa-f]{6,16}:?[ \t]+(?P<bytes>(?:[0-9A-Fa-f]{2} {0,2}){1,16})(?![0-9A-Fa-f])[^\n]*$"
)


_LOWER = str.maketrans("ABCDEF", "abcdef")


@dataclass(frozen=True)
class View:
    """A text in another form, and the places in the original text at which each of its characters starts and ends."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]


def spellings(secret: str) -> frozenset[str]:
    """All that `found` has to look for to find this secret."""
    data = secret.encode(errors="surrogatepass")
    written = [secret, quote_plus(secret, errors="replace"), data.decode("latin-1"), _in_halves(secret)]
    forms = [secret, *(_decoded(text)[-1].text for text in written), data.hex(), *_in_base64(data)]
    return frozenset(form for form in forms if len(form) >= _SHORTEST)


def found(text: str, secrets: Iterable[str]) -> list[Span]:
    """The places of these spellings in the text."""
    decoded = _decoded(text)
    digits = _walked(decoded[-1], _BETWEEN_DIGITS, lambda _: "")
    views = [*decoded, _lower(digits), _lower(_dumped(text))]
    return [span for secret in secrets for view in views for span in _spans(view, secret)]


def readable(text: str) -> View:
    """The text without colors and invisible characters, and decoded; what separates words stays."""
    return _walked(_walked(_original(text), _READABLE, _sign), _READABLE, _sign)


def masked(text: str, spans: Iterable[Span], *, start: int = 0, stop: int | None = None) -> str:
    """The text from `start` to `stop`, with `***` for each of these spans, of which those that overlap are one.

    A span that reaches over `start` or `stop` is masked as well: half a secret would not be found.
    """
    stop = len(text) if stop is None else stop
    result, end = [], start
    for first, last in sorted((max(first, start), last) for first, last in spans if last > start and first < stop):
        if first >= end:
            result += [text[end:first], MASKED]
        end = max(end, last)
    return "".join([*result, text[end:stop]])


def _in_halves(secret: str) -> str:
    """The secret as JSON writes it: a character beyond the first 65,536 as two."""
    data = secret.encode("utf-16-be", errors="surrogatepass")
    return "".join(chr(high << 8 | low) for high, low in zip(data[::2], data[1::2], strict=True))


def _in_base64(data: bytes) -> list[str]:
    """The base64 of the data wherever it begins within a longer text: the characters that no neighbor changes."""
    found = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + data + b"\0\0").decode()
        kept = text[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        found += [kept, kept.translate(str.maketrans("+/", "-_"))]
    return found


def _original(text: str) -> View:
    return View(text, range(len(text)), range(1, len(text) + 1))


def _decoded(text: str) -> list[View]:
    """The text itself, and decoded once, twice and so on, without what may stand between two characters."""
    views = [_original(text)]
    while len(views) <= _MOST_OFTEN:
        view = _walked(views[-1], _JOINED, lambda found: "".join(_sign(found).split()))
        if view.text == views[-1].text:
            break
        views.append(view)
    return views


def _walked(view: View, pattern: re.Pattern[str], replacement: Callable[[re.Match[str]], str]) -> View:
    parts: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    end = 0
    for found in pattern.finditer(view.text):
        first, last = found.span()
        signs = replacement(found)
        parts += (view.text[end:first], signs)
        starts += view.starts[end:first]
        ends += view.ends[end:first]
        starts += [view.starts[first]] * len(signs)
        ends += [view.ends[last - 1]] * len(signs)
        end = last
    if not end:
        return view
    return View("".join([*parts, view.text[end:]]), [*starts, *view.starts[end:]], [*ends, *view.ends[end:]])


def _sign(found: re.Match[str]) -> str:
    """The character that this stands for; "" if it only stands between two."""
    code = found["url"] or found["json"] or found["byte"]
    if code or found["octal"]:
        return chr(int(code, 16) if code else int(found["octal"], 8))
    return html.unescape(found["html"] or "")


def _dumped(text: str) -> View:
    """The digits of a dump, each up to the end of its line: the same bytes stand there as characters."""
    digits: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    end = 0
    for found in _DUMPED.finditer(text):
        if found.start() > end + 2:  # not the next line
            digits.append(" ")
            starts.append(end)
            ends.append(end)
        end = found.end()
        places = [place for place in range(*found.span("bytes")) if text[place] != " "]
        digits += [text[place] for place in places]
        starts += places
        ends += [end] * len(places)
    return View("".join(digits), starts, ends)


def _lower(view: View) -> View:
    return View(view.text.translate(_LOWER), view.starts, view.ends)


def _spans(view: View, secret: str) -> Iterator[Span]:
    start = view.text.find(secret)
    while start >= 0:
        yield view.starts[start], view.ends[start + len(secret) - 1]
        start = view.text.find(secret, start + 1)
