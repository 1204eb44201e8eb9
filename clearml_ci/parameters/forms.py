"""The kinds of values that parameters have: how each is read from a text, written as one, and described in a policy."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from clearml_ci.core import checkpoint, json_arguments
from clearml_ci.core.errors import UsageError
from clearml_ci.core.redaction import excerpt
from clearml_ci.parameters import json_schema, texts
from clearml_ci.parameters.json_schema import Schema

_IN_ONE_LINE = ", ".join  # New run has a text box of one line for each parameter


@dataclass(frozen=True)
class Form:
    """One kind of value. `read` takes a text and the parameter's name, and raises UsageError that names it.

    `write` is its inverse. `schema` describes the value in a policy file, and is empty if no policy has it. `choices`
    are the only texts that it may be, if there are few.
    """

    read: Callable[[str, str], Any]
    write: Callable[[Any], str] = str
    schema: Schema = field(default_factory=dict)
    choices: tuple[str, ...] = ()


def line(allowed: str, *, form: str = "", **more: Any) -> Form:
    """Any text; that of a policy is one line that fits the pattern `form`."""
    return Form(texts.line, schema=json_schema.text(allowed, form=form, **more))


def strict_line(allowed: str, *, form: str, **more: Any) -> Form:
    """One line that fits the pattern `form`, in a policy and elsewhere."""
    schema = json_schema.text(allowed, form=form, **more)
    return Form(partial(_fitting, schema=schema), schema=schema)


def choice(*allowed: str) -> Form:
    """One of these texts, in any case."""
    known = {word: word for word in allowed}
    return Form(partial(texts.choice, known=known), schema=json_schema.choice(*allowed), choices=allowed)


def names(allowed: str, *, form: str) -> Form:
    """A list of texts."""
    return Form(texts.names, _IN_ONE_LINE, json_schema.list_of(json_schema.text(allowed, form=form)))


def path(example: str) -> Form:
    """A path in the repository."""
    return Form(texts.path, schema=json_schema.text(json_schema.A_PATH + example, form=json_schema.INSIDE))


def _fitting(text: str, name: str, *, schema: Schema) -> str:
    if text.strip() and not json_schema.fits(text.strip(), schema):
        raise UsageError(f"{name} is {excerpt(text.strip(), 60)!r}: expected {schema['errorMessage']}")
    return text.strip()


TEXT = line(json_schema.A_TEXT)


MAYBE_EMPTY = line(json_schema.A_TEXT, empty=True)


SWITCH = Form(
    partial(texts.choice, known={"true": True, "false": False}),
    lambda value: str(value).lower(),
    json_schema.SWITCH,
    ("true", "false"),
)


SECONDS = Form(texts.seconds, "{:g}".format, json_schema.SECONDS)


PERCENT = Form(texts.percent, "{:.15g}".format)


GOAL = Form(
    partial(
        texts.choice,
        known={"maximize": "maximize", "max": "maximize", "minimize": "minimize", "min": "minimize"},
        expected="MAX (larger is better) or MIN (smaller is better)",
    ),
    choices=("maximize", "minimize"),
)


AT = strict_line(checkpoint.ALLOWED, form=r"(?=own$|last$|best of [^/]*[^/\s]/\S)")


DIGIT = Form(texts.digit, schema=json_schema.DIGIT)


REPEATS = Form(texts.repeats, schema=json_schema.REPEATS)


HOURS = Form(texts.hours, "{:g}".format, json_schema.HOURS)


COMMIT = Form(texts.optional_commit)


TAG = Form(texts.tag, schema=json_schema.text("a tag that does not begin with - or __$", form=r"(?!-|__\$)"))


LONGEST_NAME = 60  # characters of a check's name


_CHECK_NAME = strict_line(
    f"a name of at most {LONGEST_NAME} visible characters in one line that does not end with a branch in parentheses, "
    "as a status does; a number or true goes into quotes",
    form=json_schema.VISIBLE + r"(?!.* \(\S+\)$)",
    maxLength=LONGEST_NAME,
)


CHECK_NAME = replace(_CHECK_NAME, read=lambda text, name: texts.without_secret(_CHECK_NAME.read(text, name), name))


POLICY_FILE = strict_line(json_schema.A_PATH + ".github/clearml-ci/digits.yml", form=json_schema.INSIDE)


PROJECT = line("a project's name of at least 3 characters, such as Team/Digits", form=json_schema.PROJECT)


NEW_PROJECT = Form(texts.new_project, schema=PROJECT.schema)


TASK_NAME = line("a task's name of at least 3 characters; a number or true goes into quotes", form=r"(?=.{3})")


NEW_TASK_NAME = Form(texts.new_task_name, schema=TASK_NAME.schema)


NAMES = Form(texts.names, _IN_ONE_LINE)


MODULE = Form(
    texts.module,
    schema=json_schema.text(
        'a module and its arguments, such as "pytest -m gpu"', form=r"(?=[A-Za-z_][A-Za-z0-9_.]*( |$))"
    ),
)


REQUIREMENTS = Form(
    texts.requirements,
    texts.quoted,
    json_schema.list_of(json_schema.text("a requirement such as torch==2.3.0", form=r"(?=[A-Za-z0-9])")),
)


ASSIGNMENTS = Form(
    texts.assignments,
    lambda pairs: texts.quoted(f"{name}={value}" for name, value in pairs),
    json_schema.list_of(
        json_schema.text("name=value without leading dashes, such as epochs=1", form=r"(?=[^=\s-][^=]*=)")
    ),
)


ALIKE = Form(lambda text, _: json_arguments.alike(text), json_arguments.alike_text)
