"""Texts of plotly's tables and legends, which read a little HTML: links, bold, italics and line breaks."""

from __future__ import annotations

from html.parser import HTMLParser

from markupsafe import Markup, escape

_KEPT = ("b", "i")


def rendered(value: object) -> Markup:
    """The text with plotly's few elements, and all else that looks like HTML as plain text."""
    parser = _Parser()
    parser.feed("" if value is None else str(value))
    parser.close()
    return Markup("").join([*parser.parts, *(Markup("</{}>").format(name) for name in reversed(parser.open))])


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[Markup] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get("href") or ""
        if tag == "br":
            self.parts.append(Markup("<br>"))
        elif tag in _KEPT:
            self._begin(tag, Markup("<{}>").format(tag))
        elif tag == "a" and address.startswith(("http://", "https://")):
            self._begin(tag, Markup('<a href="{}" rel="noreferrer">').format(address))
        else:
            self.parts.append(escape(self.get_starttag_text() or ""))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
            self.parts.append(Markup("</{}>").format(tag))

    def handle_data(self, data: str) -> None:
        self.parts.append(escape(data))

    def _begin(self, tag: str, text: Markup) -> None:
        self.open.append(tag)
        self.parts.append(text)
