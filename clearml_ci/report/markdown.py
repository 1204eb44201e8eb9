"""Markdown of comments and issues. Every text that a user or a task may have written is escaped here."""

import bisect
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar
from urllib.parse import quote

from tabulate import tabulate

from clearml_ci.core import redaction
from clearml_ci.core.formatting import WORD_JOINER, printable, shorten

Row = TypeVar("Row")


# Characters that start something, everywhere or at the start of a block; `www.` and `://` become links by themselves.
_ACTIVE = re.compile(r"([\\`*_{}\[\]()#|~$:]|(?<=www)\.|^[-+=]|(?<=^\d)\.|(?<=^\d\d)\.)")


# The starts of a mention and of references to an issue (`#1`, `GH-1`). GitHub looks for them in the rendered text, in
# which a backslash is gone.
_REFERENCE = re.compile(r"@|#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)


# GitHub makes a short link of a commit's hash. As code it stays whole: people paste it, with the command, into the
# comment that approves it.
_HASH = re.compile(r"(?<![0-9A-Za-z])(/run-remote )?[0-9a-f]{40}(?![0-9A-Za-z])", re.IGNORECASE)


_LONGEST = 500


_READ = 5_000  # characters that are masked: blanks and secrets among them become fewer


MOST_WARNINGS = 5


def escape(text: str) -> str:
    """The first 500 characters of a text as plain text: no Markdown, no HTML, no line break, no mention or reference.

    Invisible characters become visible; a word joiner keeps GitHub from notifying people and from linking issues.
    """
    return _escaped(redaction.excerpt(text, _READ))


@lru_cache(maxsize=8_192)  # a report is rendered several times with the same names, until it fits
def _escaped(text: str) -> str:
    text = shorten(printable(" ".join(text.split()), keep=""), _LONGEST)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _REFERENCE.sub(lambda found: found[0] + WORD_JOINER, _ACTIVE.sub(r"\\\1", text))
    return _HASH.sub(r"`\g<0>`", text)


def encode_marker_name(name: str) -> str:
    """A check's name for the end of a marker: encoded, so that it cannot end the HTML comment; "" without a name."""
    return f" {quote(name, safe='')}" if name else ""


def number(value: float | None, *, signed: bool = False) -> str:
    """Six significant digits, or a dash without a number."""
    if value is None:
        return "-"
    return f"{value:{'+' if signed else ''}.6g}" if math.isfinite(value) else str(value)


def table(rows: Sequence[Sequence[str]], headers: Sequence[str], *, align: Sequence[str]) -> str:
    """A table whose cells are Markdown already."""
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def fold(summary: str, body: str) -> str:
    """A part that is closed until a reader opens it; `summary` is HTML."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def alert(text: str) -> str:
    """A warning in a box of its own."""
    return f"> [!WARNING]\n> {escape(text)}"


def warnings_block(warnings: Sequence[str]) -> str:
    """The first warnings in boxes, for the end of a text; "" without warnings."""
    return "".join(f"\n{alert(warning)}\n" for warning in warnings[:MOST_WARNINGS])


def fit_rows(rows: Sequence[Row], room: int, render: Callable[[Sequence[Row]], str]) -> str:
    """`render` of as many of the first rows as fit into `room` characters; "" if not even one does."""
    if not rows or len(render(rows)) <= room:
        return render(rows) if rows else ""
    count = bisect.bisect_right(range(1, len(rows)), room, key=lambda number: len(render(rows[:number])))
    return render(rows[:count]) if count else ""


def join_parts(head: str, parts: Sequence[Callable[[int], str]], tail: str, *, room: int) -> str:
    """A whole text: head, the parts in their order, and tail.

    Each part is given the room, in characters, that those before it left, and is left out if it is "".
    """
    texts = []
    for part in parts:
        if text := part(room):
            texts.append(text)
        room -= len(text) + 2
    return "\n\n".join([head, *texts, tail]) + "\n"
