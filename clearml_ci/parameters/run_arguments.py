"""The `Args` of a run: their declared values, and the dataclasses that they are read into and written from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

from clearml_ci.core.errors import UsageError
from clearml_ci.parameters import catalogue
from clearml_ci.parameters.parameter import Parameter

CONTEXT = "_context"


STARTED_WITH = "started_with"  # the key of the context that holds the other Args as the job gave them


def declared(pipeline: str) -> dict[str, str]:
    """The Args of a pipeline with the values that its runs show before an edit."""
    return {parameter.name: parameter.argument for parameter in catalogue.of_pipeline(pipeline)}


def defaults(*pipelines: str) -> dict[str, Any]:
    """The default values of the parameters of these pipelines that are read by themselves, by field."""
    return {
        parameter.field: parameter.value("", parameter.name)
        for pipeline in pipelines
        for parameter in catalogue.of_pipeline(pipeline)
        if parameter.form
    }


def held_by(kind: type[Any], *pipelines: str) -> tuple[Parameter, ...]:
    """The parameters of these pipelines that are read by themselves into a field of this dataclass."""
    names = {field.name for field in fields(kind)}
    return tuple(
        parameter
        for parameter in catalogue.PARAMETERS
        if parameter.form and parameter.field in names and not {*pipelines}.isdisjoint(parameter.pipelines)
    )


def read(
    parameters: Iterable[Parameter], arguments: Mapping[str, str], *, names: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Their values by field. Raises UsageError; `names` are what the user calls the Args, if that differs."""
    called = names or {}
    return {
        parameter.field: parameter.value(arguments.get(parameter.name, ""), called.get(parameter.name, parameter.name))
        for parameter in parameters
    }


def write(parameters: Iterable[Parameter], holder: object) -> dict[str, str]:
    """The Args of these parameters of a dataclass: the inverse of `read`."""
    return {
        parameter.name: parameter.form.write(getattr(holder, parameter.field))
        for parameter in parameters
        if parameter.form
    }


def presented(pipeline: str, arguments: Mapping[str, str]) -> dict[str, str]:
    """The `Args` of a pipeline's run as New run shows them: in the order of the list of parameters, each in one line.

    Raises UsageError.
    """
    order = {parameter.name: index for index, parameter in enumerate(catalogue.of_pipeline(pipeline))}
    return {
        name: _in_one_line(name, arguments[name]) for name in sorted(arguments, key=lambda name: order.get(name, 999))
    }


def _in_one_line(name: str, text: str) -> str:
    form = catalogue.parameter(name).form if "\n" in text and catalogue.is_argument(name) else None
    return form.write(form.read(text, name)) if form else text


def context(arguments: Mapping[str, str]) -> dict[str, Any]:
    """The job's knowledge at the start of the run, which no user edits. Raises UsageError."""
    known = parsed(arguments.get(CONTEXT, ""))
    if known is None or not isinstance(known.get("repositories"), list):
        raise UsageError(f"{CONTEXT} is not what ci_trigger.py writes: start the run through it, or rerun such a run")
    return known


def parsed(text: str) -> dict[str, Any] | None:
    """The context in this text, None if it holds none."""
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def with_start(arguments: Mapping[str, str]) -> dict[str, str]:
    """The Args of a job's own run: the context repeats the others, so that a clone shows what its user changed."""
    known = parsed(arguments.get(CONTEXT, ""))
    if known is None:
        return dict(arguments)
    others = {name: text for name, text in arguments.items() if name != CONTEXT}
    return {**arguments, CONTEXT: json.dumps({**known, STARTED_WITH: others})}


def kept_with_start(before: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Those of the Args at the start that a rerun keeps; their context repeats the others, as with_start's."""
    started = before if STARTED_WITH in (parsed(before.get(CONTEXT, "")) or {}) else with_start(before)
    return {name: started[name] for name in names if name in started}


def started_with(arguments: Mapping[str, str]) -> dict[str, str] | None:
    """The Args that a job started the first run with, as the context of its clones has them; None without any."""
    known = parsed(arguments.get(CONTEXT, "")) or {}
    others = known.pop(STARTED_WITH, None)
    if not isinstance(others, dict):
        return None
    return {**{name: str(text) for name, text in others.items()}, CONTEXT: json.dumps(known)}


def text_in(known: Mapping[str, Any], name: str) -> str:
    """A text of the context, empty if it has none."""
    return str(known.get(name, ""))


def texts_in(known: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The texts of a list of the context."""
    return tuple(str(text) for text in known.get(name, ()))
