"""Slices: a gate with `*` in its metric stands for a gate of each series that matches."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from clearml_ci.core.documents import GateRow
from clearml_ci.core.gate import Gate, Reported

MACHINE = ":monitor:"  # begins the titles of what the SDK reports about the machine


MOST_SERIES = 2_000  # of a task; the server counts no further ones (`max_last_metrics` of its configuration)


def of_pattern(pattern: Gate, names: Iterable[tuple[str, str]]) -> list[Gate]:
    """A gate of each series, as (title, series), that the pattern matches, sorted by name.

    What the SDK reports about the machine does not count, unless the pattern's title begins like that.
    """
    found = sorted({name for name in names if _matches(pattern, *name)})
    return [replace(pattern, title=title, series=series, slice_of=pattern.name) for title, series in found]


def expanded(gates: Sequence[Gate], reported: Iterable[Reported]) -> tuple[Gate, ...]:
    """The gates, with those slices in the place of a pattern that one of these tasks has reported.

    A series that a gate of its own names, or an earlier pattern, is no slice. A pattern without slices stays as it is.
    """
    if not any(gate.is_pattern for gate in gates):
        return tuple(gates)
    known = {slice_ for values in reported for slice_, summary in values.items() if slice_.slice_of and summary}
    taken = {_key(gate) for gate in gates if not gate.is_pattern}
    every: list[Gate] = []
    for gate in gates:
        own = [slice_ for slice_ in known if _is_of(gate, slice_) and _key(slice_) not in taken]
        taken.update(map(_key, own))
        every += sorted(own, key=lambda slice_: (slice_.title, slice_.series)) or [gate]
    return tuple(every)


def of_patterns(reported: Reported) -> frozenset[str]:
    """The names of the patterns of which this task has reported slices."""
    return frozenset(slice_.slice_of for slice_, summary in reported.items() if slice_.slice_of and summary)


def of_rows(gates: Sequence[Gate], rows: Iterable[GateRow]) -> tuple[Gate, ...]:
    """The gates of a verdict's rows, of which some are slices; `gates` are those of the check."""
    own = {(gate.name, gate.value): gate for gate in reversed(gates)}
    return tuple(_of_row(own, row) for row in rows)


def _of_row(own: Mapping[tuple[str, str], Gate], row: GateRow) -> Gate:
    pattern = row.get("slice_of", "")  # an older version's row has none
    title, _, series = row["metric"].partition("/")
    gate = own.get((pattern or row["metric"], row["which"])) or Gate(title, series, row["goal"], row["which"])
    return replace(gate, title=row["title"], series=row["series"], slice_of=pattern) if pattern else gate


def why_incomplete(series: int) -> str:
    """The reason why slices of a task with so many series may be missing, or ""."""
    if series < MOST_SERIES:
        return ""
    return f"has {series:,} series, and ClearML keeps no more than {MOST_SERIES:,} of a task: slices may be missing"


def nearest_known(names: Iterable[tuple[str, str]]) -> list[str]:
    """The names that a pattern without a match may stand for: all series, and each title with `*`."""
    known = [name for name in names if not name[0].startswith(MACHINE)]
    return [*dict.fromkeys(f"{title}/*" for title, _ in known), *(f"{title}/{series}" for title, series in known)]


def _is_of(gate: Gate, slice_: Gate) -> bool:
    return gate.is_pattern and of_pattern(gate, [(slice_.title, slice_.series)]) == [slice_]


def _matches(pattern: Gate, title: str, series: str) -> bool:
    if title.startswith(MACHINE) and not pattern.title.startswith(MACHINE):
        return False
    return _fits(pattern.title, title) and _fits(pattern.series, series)


def _fits(pattern: str, text: str) -> bool:
    """`*` stands for any text; all else is literal, because names have brackets and question marks."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    *middle, last = others
    at, end = len(first), len(text) - len(last)
    if at > end or not text.startswith(first) or not text.endswith(last):
        return False
    for piece in middle:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _key(gate: Gate) -> tuple[str, str, str]:
    return gate.title, gate.series, gate.value
