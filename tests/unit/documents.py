"""The documents as the tests read them: pages, sections, tables, code and links."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob(".github/*.md")]
}
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def section(page: str, title: str) -> str:
    """The text below a heading of the second level."""
    return PAGES[page].split(f"\n## {title}\n")[1].split("\n## ")[0]


def table(page: str, name: str) -> str:
    """The generated table of this name."""
    return PAGES[page].split(f"<!-- table: {name} -->\n")[1].split("<!-- /table -->")[0]


def names_of_first_column(text: str) -> set[str]:
    """All names in the code spans of a table's first column."""
    rows = re.findall(r"^\| (`[^|]+) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z_.\[\]]+)`", row)}


def code_blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", PAGES[page], re.MULTILINE | re.DOTALL)
    return [code for its_language, code in blocks if its_language == language]


def code_of_all_pages() -> str:
    """All code spans and code blocks."""
    return "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", "\n".join(PAGES.values()), re.MULTILINE | re.DOTALL))


def steps_of(document: Any) -> Iterator[Mapping[str, Any]]:
    """Each step of a workflow, of a job, or of a list of steps, that uses the action."""
    if isinstance(document, dict) and "YOUR-ORG/clearml-ci" in str(document.get("uses")):
        yield document
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    for child in children:
        yield from steps_of(child)


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", _FENCED.sub("", PAGES[page]), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> list[tuple[str, str]]:
    """Each page with each of its links."""
    return [
        (page, link) for page, text in PAGES.items() for link in re.findall(r"\]\(([^)]+)\)", _FENCED.sub("", text))
    ]
