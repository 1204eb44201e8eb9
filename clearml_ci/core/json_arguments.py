"""JSON for the `Args` of a run that a single text box cannot hold: several gates, and what must be alike."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from clearml_ci.core.comparability import NO_RULES, MatchRules
from clearml_ci.core.errors import UsageError, nearest
from clearml_ci.core.gate import Gate
from clearml_ci.core.redaction import excerpt

_WORDS = {
    "goal": ("maximize", "minimize"),
    "value": ("best", "last"),
    "difference": ("inconclusive", "warn"),
}


def gates_text(gates: Sequence[Gate]) -> str:
    """The JSON list of these gates, the inverse of `gates`; empty if there are none."""
    return json.dumps([gate_document(gate) for gate in gates]) if gates else ""


def gate_document(gate: Gate) -> dict[str, Any]:
    """The gate as a JSON object, without a checkpoint if it has none of its own."""
    document = asdict(gate)
    del document["slice_of"]  # known only from what a task reported
    if not gate.at:
        del document["at"]
    return document


def gates(text: str) -> tuple[Gate, ...]:
    """The gates of a JSON list of objects with the fields of Gate. Raises UsageError that names list item and key."""
    documents = _json("gates", text, list, "a JSON list of gates")
    return tuple(_gate(f"gates[{index}]", document) for index, document in enumerate(documents))


def alike_text(alike: MatchRules) -> str:
    """The JSON object of these requirements, the inverse of `alike`; empty if there are none."""
    return json.dumps(asdict(alike)) if alike != NO_RULES else ""


def alike(text: str) -> MatchRules:
    """The requirements of a JSON object with the fields of MatchRules; none if the text is empty. Raises UsageError."""
    if not text.strip():
        return NO_RULES
    document = _known("alike", _json("alike", text, dict, "a JSON object"), MatchRules)
    for name in {"hyperparameters", "packages"} & document.keys():
        listed = _typed(f"alike.{name}", document[name], list, "a list of texts")
        document[name] = tuple(_typed(f"alike.{name}", item, str, "a list of texts") for item in listed)
    _typed("alike.inputs", document.get("inputs", False), bool, "true or false")
    _words("alike", document)
    return MatchRules(**document)


def _gate(name: str, document: object) -> Gate:
    read = _known(name, document, Gate)
    for key in ("title", "series"):
        if not _typed(f"{name}.{key}", read.get(key, ""), str, "a text").strip():
            raise UsageError(f"{name}.{key} is empty: a metric has a title and a series")
    _typed(f"{name}.at", read.get("at", ""), str, "a text")
    for key in ("relative", "required", "allow_zero"):
        _typed(f"{name}.{key}", read.get(key, True), bool, "true or false")
    _words(name, read)
    bounds = {key: _number(f"{name}.{key}", read[key]) for key in ("minimum", "maximum") if read.get(key) is not None}
    tolerance = _number(f"{name}.tolerance", read.get("tolerance", 0.0))
    if tolerance < 0:
        raise UsageError(f"{name}.tolerance is {tolerance:g}: expected 0 or more")
    if bounds.get("minimum", -math.inf) > bounds.get("maximum", math.inf):
        raise UsageError(f"{name}.minimum is above its maximum: no value can hold")
    return Gate(**{**read, **bounds, "tolerance": tolerance})


def _json(name: str, text: str, kind: type, expected: str) -> Any:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, kind):
        raise UsageError(f"{name} is {excerpt(text, 60)!r}: expected {expected}")
    return read


def _known(name: str, document: object, kind: type[Gate] | type[MatchRules]) -> dict[str, Any]:
    keys = [field.name for field in fields(kind) if field.name != "slice_of"]
    if not isinstance(document, dict):
        raise UsageError(
            f"{name} is {excerpt(str(document), 60)!r}: expected an object with the keys {', '.join(keys)}"
        )
    for key in document:
        if key not in keys:
            raise UsageError(f"{name} has the unknown key {excerpt(key, 60)!r}{nearest(key, keys, what='keys')}")
    return dict(document)


def _words(name: str, document: Mapping[str, Any]) -> None:
    for key in _WORDS.keys() & document.keys():
        if document[key] not in _WORDS[key]:
            raise UsageError(
                f"{name}.{key} is {excerpt(str(document[key]), 60)!r}: expected {' or '.join(_WORDS[key])}"
            )


def _typed(name: str, read: Any, kind: type, expected: str) -> Any:
    if not isinstance(read, kind):
        raise UsageError(f"{name} is {excerpt(str(read), 60)!r}: expected {expected}")
    return read


def _number(name: str, read: object) -> float:
    """A finite number: JSON as Python reads it also knows NaN, and true is an int."""
    try:
        number = math.nan if isinstance(read, bool) or not isinstance(read, int | float) else float(read)
    except OverflowError:  # an integer of hundreds of digits
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(f"{name} is {excerpt(str(read), 60)!r}: expected a number")
    return number
