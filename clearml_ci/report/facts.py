"""Facts about a run or a step: short labelled sentences, for a console and for a table on the page of a task."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from clearml_ci.core.documents import TaskDocument
from clearml_ci.core.formatting import capitalize_first
from clearml_ci.report import figures


@dataclass(frozen=True)
class Fact:
    """One labelled text, and the address of the page that it names, or ""."""

    label: str
    text: str
    url: str = ""


def sentence(text: str) -> str:
    """The text with a point at its end and a capital letter at its start."""
    text = text.strip().removesuffix(".")
    return f"{capitalize_first(text)}." if text else ""


def of_task(label: str, task: TaskDocument) -> Fact:
    """The task with its project and its page."""
    return Fact(label, f"{task['name']} ({task['project']})", task["url"])


def listed(label: str, texts: Sequence[str], *, most: int) -> list[Fact]:
    """The first `most` texts as sentences, and the number of the others."""
    more = [f"and {len(texts) - most} more"] if len(texts) > most else []
    return [Fact(label, sentence(text)) for text in [*texts[:most], *more]]


def lines(facts: Iterable[Fact]) -> list[str]:
    """One line of a console for each fact."""
    return [f"{fact.label}: {' '.join(dict.fromkeys(_texts(fact)))}" for fact in facts]


def _texts(fact: Fact) -> list[str]:
    """The text and the address, which may be the same."""
    return [figures.plain(text) for text in (fact.text, fact.url) if text]


def table(title: str, facts: Sequence[Fact]) -> Any:
    """The facts as a figure of two columns, the first of them at its head."""
    (label, text), *rows = [(figures.bold(fact.label), figures.link(fact.text, fact.url)) for fact in facts]
    return figures.table(title, [label, text], rows, widths=(1, 5))
