"""Words, numbers and tables of a comment. Everything that a stranger may have written is escaped here."""

import bisect
import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar
from urllib.parse import quote

from tabulate import tabulate

Row = TypeVar("Row")


# Characters that start something, everywhere or at the start of a block; `www.` and `://` become links by themselves.
_ACTIVE = re.compile(r"([\\`*_{}\[\]()#|~$:]|(?<=www)\.|^[-+=]|(?<=^\d)\.|(?<=^\d\d)\.)")


_LONGEST = 500


MOST_WARNINGS = 5


def escape(text: str) -> str:
    """Text as text, 500 characters of it at most: no Markdown, no HTML, no line break, no @mention."""
    text = " ".join(text.split())
    text = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ACTIVE.sub(r"\\\1", text).replace("@", "@\u2060")  # a word joiner keeps GitHub from notifying people


def hidden(name: str) -> str:
    """A name behind another word of an HTML comment, which it cannot end; nothing where there is none."""
    return f" {quote(name, safe='')}" if name else ""


def number(value: float | None, *, signed: bool = False) -> str:
    """Six significant digits, or a dash where there is no number."""
    if value is None:
        return "-"
    return f"{value:{'+' if signed else ''}.6g}" if math.isfinite(value) else str(value)


def table(rows: Sequence[Sequence[str]], headers: Sequence[str], *, align: Sequence[str]) -> str:
    """A table of cells that are Markdown already."""
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def fold(summary: str, body: str) -> str:
    """A part that is closed until somebody opens it; `summary` is HTML."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def alert(text: str) -> str:
    """A warning in a box of its own."""
    return f"> [!WARNING]\n> {escape(text)}"


def afterword(warnings: Sequence[str]) -> str:
    """What follows a text that is told elsewhere than it should have been: why; empty where there is nothing to say."""
    return "".join(f"\n{alert(warning)}\n" for warning in warnings[:MOST_WARNINGS])


def fitted(rows: Sequence[Row], room: int, render: Callable[[Sequence[Row]], str]) -> str:
    """`render` of as many of the first rows as fit into `room` characters; nothing where not even one does."""
    if not rows or len(render(rows)) <= room:
        return render(rows) if rows else ""
    count = bisect.bisect_right(range(1, len(rows)), room, key=lambda number: len(render(rows[:number])))
    return render(rows[:count]) if count else ""
