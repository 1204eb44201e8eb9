"""The problems of a policy, as messages: the line, the key, the value that was found, and what is allowed."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from clearml_ci.core import checkpoint, errors
from clearml_ci.core.gate import OWN
from clearml_ci.core.redaction import excerpt
from clearml_ci.parameters.remote_run import TRAINING
from clearml_ci.policy.schema import SCHEMA, title_and_series

MOST = 50  # messages


Path = tuple[str | int, ...]


_VALIDATOR = Draft202012Validator(SCHEMA)


@dataclass(frozen=True)
class Problem:
    """`place` is a key's path as users write it."""

    line: int
    place: str
    text: str

    @staticmethod
    def at(path: Path, line: int, text: str) -> "Problem":
        return Problem(line, _written(path), text)


def of(data: object, lines: Mapping[Path, int]) -> list[Problem]:
    """Everything that does not fit the schema, and the conflicts that no schema can express."""
    misfits = [misfit for error in _VALIDATOR.iter_errors(data) for misfit in _of_error(error)]
    wrong = {path for path, _ in misfits}
    conflicts = [*_conflicts(data, wrong), *_unknown_checkpoints(data, wrong), *_out_of_reach(data, wrong)]
    return [Problem.at(path, _line(path, lines), text) for path, text in [*misfits, *conflicts]]


def report(problems: Iterable[Problem], *, source: str) -> str:
    """One line each, in the file's order, without duplicates."""
    ordered = sorted(dict.fromkeys(problems), key=lambda problem: problem.line)
    shown = [f"{source}:{problem.line}: {problem.place}: {problem.text}" for problem in ordered[:MOST]]
    more = [f"{source}: and more; mend these first"] if len(ordered) > MOST else []
    return "\n".join([*shown, *more])


def _of_error(error: ValidationError) -> Iterator[tuple[Path, str]]:
    path: Path = tuple(error.absolute_path)
    schema: Any = error.schema
    instance: Any = error.instance
    if error.validator == "additionalProperties":
        for name in [name for name in instance if name not in schema["properties"]][: MOST + 1]:
            yield (
                (*path, name),
                "found an unknown key" + errors.nearest(excerpt(name, 60), schema["properties"], what="allowed"),
            )
    elif error.validator == "required":
        for name in [name for name in schema["required"] if name not in instance]:
            yield (*path, name), f"found nothing; allowed: {schema['properties'][name]['errorMessage']}"
    else:
        yield path, f"found {_described(error)}; allowed: {schema['errorMessage']}"


def _described(error: ValidationError) -> str:
    value: Any = error.instance
    if error.validator == "oneOf":
        options: Any = error.validator_value
        return "both" if all(option["required"][0] in value for option in options) else "neither"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a mapping" if isinstance(value, dict) else f"the number {excerpt(str(value), 60)}"


def _conflicts(data: Any, wrong: set[Path]) -> Iterator[tuple[Path, str]]:
    """Conflicts between the gates that are valid by themselves."""
    if not isinstance(data, dict) or not isinstance(data.get("gates"), list):
        return
    invalid = {path[1] for path in wrong if path[:1] == ("gates",) and len(path) > 1}
    seen: set[tuple[str, str, str]] = set()
    for index, gate in enumerate(data["gates"]):
        if index in invalid:
            continue
        title, series = title_and_series(gate["metric"])
        name = (title, series, gate.get("value", "best"))
        if name in seen:
            yield ("gates", index), f"found {_quoted(f'{title}/{series}')} again; allowed: one gate a metric and value"
        seen.add(name)
        if gate.get("min", -math.inf) > gate.get("max", math.inf):
            found = f"the number {gate['min']} with max {gate['max']}"
            yield ("gates", index, "min"), f"found {found}; allowed: a number that is not above max"
        if "value" in gate and gate.get("at", "own") not in OWN:
            found = f"{_quoted(gate['value'])} with at: {gate['at']}"
            yield ("gates", index, "value"), f"found {found}; allowed: no value beside at, which names the iteration"


def _unknown_checkpoints(data: Any, wrong: set[Path]) -> Iterator[tuple[Path, str]]:
    """Checkpoints that no gate's metric chooses, so that their goal is unknown."""
    if not isinstance(data, dict) or any(path[:1] in (("gates",), ("at",)) for path in wrong):
        return
    gates = data.get("gates", [])
    known = ["/".join(title_and_series(gate["metric"])) for gate in gates]
    places: list[tuple[Path, str]] = [(("at",), data.get("at", ""))]
    places += [(("gates", index, "at"), gate.get("at", "")) for index, gate in enumerate(gates)]
    for path, at in places:
        name = at.removeprefix(checkpoint.BEST_OF)
        if at.startswith(checkpoint.BEST_OF) and (name not in known or "*" in name):
            near = errors.nearest(name, [other for other in known if "*" not in other], what="gates")
            yield path, f"found {_quoted(at)}; allowed: {checkpoint.ALLOWED}{near}"


def _out_of_reach(data: Any, wrong: set[Path]) -> Iterator[tuple[Path, str]]:
    """A remote run that trains elsewhere than the baseline is looked for; see remote_run.refuse_out_of_reach."""
    if (
        not isinstance(data, dict)
        or data.get("candidate") not in TRAINING
        or not isinstance(data.get("remote_run"), dict)
    ):
        return
    for own, other in (("project", "project"), ("name", "task_name")):
        given, expected = data["remote_run"].get(own), data.get(other)
        if given and expected and given != expected and not wrong & {("remote_run", own), (other,)}:
            allowed = f"{_quoted(expected)}, the {other} by which the baseline is looked for"
            yield ("remote_run", own), f"found {_quoted(given)}; allowed: {allowed}"


def _line(path: Path, lines: Mapping[Path, int]) -> int:
    """The line of a path, or of the nearest key around it that is in the file."""
    return next(lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in lines)


def _written(path: Path) -> str:
    """`gates[0].metric`; a key that could be taken for something else is quoted."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += "." + (part if re.fullmatch(r"[\w-]{1,60}", part) else _quoted(part))
    return written.removeprefix(".") or "the file"


def _quoted(text: str) -> str:
    return repr(text if len(text) <= 60 else excerpt(text, 57) + "...")
