"""Numbers and texts as a reader sees them in messages, comments and issues."""

import itertools
import math
import re
from collections.abc import Sequence

# Characters that no reader sees, or that change how others are read: control, zero width, direction, tags.
INVISIBLE = (
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)


WORD_JOINER = "\u2060"  # invisible: between two characters it keeps GitHub from reading them as one reference


def count(number: int, noun: str) -> str:
    """`1 finding`, `2 findings`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def apart(*numbers: float) -> list[str]:
    """The numbers with six significant digits, or with as many as distinguish them; rounding errors do not count."""
    differing = [pair for pair in itertools.combinations(numbers, 2) if not math.isclose(*pair, rel_tol=1e-9)]
    for digits in range(6, 17):
        texts = {number: f"{number:.{digits}g}" for number in numbers}
        if all(texts[first] != texts[second] for first, second in differing):
            break
    return [texts[number] for number in numbers]


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `5 h` or `9 days`."""
    for size, unit in ((86_400, " days"), (3_600, " h"), (60, " min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f} s"


def capitalize_first(text: str) -> str:
    """The text with a capital letter at its start; `str.capitalize` would change the rest as well."""
    return f"{text[:1].upper()}{text[1:]}"


def shorten(text: str, limit: int) -> str:
    """The text, cut to `limit` characters with `…` at its end if it is longer."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shorten_at_word(text: str, limit: int) -> str:
    """The text, cut after a word to `limit` characters with `…` at its end if it is longer; a long word is cut."""
    if len(text) <= limit:
        return text
    cut = text[: limit - 1]
    words = cut if text[limit - 1].isspace() else cut.rpartition(" ")[0]
    return (words if len(words) > limit // 2 else cut).rstrip(" ,;:·(") + "…"


def printable(text: str, *, keep: str = WORD_JOINER) -> str:
    """The text with a visible sign for each invisible character but line breaks, tabs and those of `keep`."""
    return re.sub(INVISIBLE, lambda found: found[0] if found[0] in keep else "\ufffd", text)


def listed(texts: Sequence[str], *, most: int = 3, separator: str = "; ") -> str:
    """The first `most` texts in one line, and the number of the others: `a; b; c; and 2 more`."""
    more = f"{separator}and {len(texts) - most} more" if len(texts) > most else ""
    return separator.join(texts[:most]) + more
