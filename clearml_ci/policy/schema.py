"""The form of the policy file, once: editors complete from it, files are checked against it, defaults come from it.

A JSON schema (draft 2020-12). `errorMessage` ends our messages about a value that does not fit; editors that know the
keyword show it as well. Patterns mean the same in Python and in JavaScript.
"""

import re
from typing import Any

from clearml_ci.parameters.check import DEFAULT_BEST_TAG

Schema = dict[str, Any]


_ODD = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"  # control characters, line breaks, halves of a character


_UNSEEN = r"[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"  # without width, or turning the direction


_ONE_LINE = rf"(?![\s\S]*{_ODD})"  # also keeps Python's `$` from matching before a last line break


_PROJECT = r"(?!.*//)(?!.*/$)(?!(.*/)?\.{1,2}(/|$))(?=[^/].{2})"


_INSIDE = r"(?!/)(?!(.*/)?\.\.(/|$))(?!-)"


_METRIC = r"(?=[^/]*[^/\s]/\S)"


def _text(meaning: str, allowed: str, *, form: str = "", empty: bool = False, **more: Any) -> Schema:
    """One line without spaces at its ends; `form` is what a pattern asks besides, as lookaheads."""
    pattern = rf"^{_ONE_LINE}({form}\S(.*\S)?){'?' if empty else ''}$"
    return {"type": "string", "pattern": pattern, **_told(meaning, allowed), **more}


def _choice(meaning: str, *names: str, **more: Any) -> Schema:
    return {"enum": list(names), **_told(meaning, ", ".join(names)), **more}


def _switch(meaning: str, *, default: bool) -> Schema:
    return {"type": "boolean", **_told(meaning, "true, false"), "default": default}


def _seconds(meaning: str, *, default: int) -> Schema:
    allowed = "a number of seconds above 0"
    return {"type": "number", "exclusiveMinimum": 0, **_told(meaning, allowed), "default": default}


def _number(meaning: str) -> Schema:
    return {"type": "number", **_told(meaning, "a finite number")}


def _list(meaning: str, of: Schema) -> Schema:
    return {"type": "array", "items": of, **_told(meaning, f"a list, each {of['errorMessage']}"), "default": []}


def _mapping(meaning: str, properties: Schema, *, required: tuple[str, ...] = (), **more: Any) -> Schema:
    return {
        "type": "object",
        **_told(meaning, f"a mapping of {', '.join(properties)}"),
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
        **more,
    }


def _told(meaning: str, allowed: str) -> Schema:
    return {"description": meaning, "errorMessage": allowed}


_QUOTED = "a text in one line; a number or true goes into quotes"


_PATH = "a path inside the repository, such as "


_A_PROJECT = "a project's name of at least 3 characters, such as Team/Digits"


_A_NAME = "a task's name of at least 3 characters; a number or true goes into quotes"


# Also of the inputs of these names.
NAME = _text(
    "What the check is called, where a repository has several: one status and one comment each.",
    "a name of at most 60 visible characters in one line; a number or true goes into quotes",
    form=rf"(?!.*{_UNSEEN})",
    maxLength=60,
)


FILE = _text("The policy file.", _PATH + ".github/clearml-ci/digits.yml", form=_INSIDE)


METRIC = _text(
    "The scalar: title/series, split at the first '/', or a mapping where the title holds a '/'. "
    "The title of a single value is Summary.",
    "title/series, or a mapping of title, series",
    form=_METRIC,
) | {
    "type": ["string", "object"],
    "properties": {
        "title": _text("The scalar's title; it may hold a '/'.", _QUOTED),
        "series": _text("The scalar's series.", _QUOTED),
    },
    "required": ["title", "series"],
    "additionalProperties": False,
}


GATE = _mapping(
    "One metric and what it has to hold.",
    {
        "metric": METRIC,
        "goal": _choice("Which direction is better.", "maximize", "minimize", "MAX", "MIN", default="maximize"),
        "value": _choice(
            "The best value of the curve in the goal's direction, or the last.", "best", "last", default="best"
        ),
        "max_regression": _text(
            "How much worse than the baseline is allowed: a percentage of its absolute value, or a number in the "
            "metric's unit.",
            "a percentage such as 3%, or a number that is not negative",
            form=r"(?=[0-9]{1,6}(\.[0-9]+)? ?%$)",
            minimum=0,
            default="0%",
        )
        | {"type": ["string", "number"]},
        "min": _number("The smallest value allowed, whatever the baseline."),
        "max": _number("The largest value allowed, whatever the baseline."),
        "required": _switch("Does this gate decide? An advisory one (false) is shown only.", default=True),
    },
    required=("metric",),
)


EVIDENCE = _mapping(
    "Which runs count as evidence besides those of the very commit.",
    {
        "ignored_paths": _list(
            "A run of an earlier commit of the same pull request counts when only these files changed since.",
            _text("Files that no run depends on.", _PATH + "docs/** or *.md", form=_INSIDE),
        ),
    },
    default={},
)


BASELINES = _mapping(
    "What the candidate is compared with.",
    {
        "tag": _text(
            "The tag of the best task.",
            "a tag that does not begin with - or __$",
            form=r"(?!-|__\$)",
            default=DEFAULT_BEST_TAG,
        ),
        "main": _switch("Show main's own task at the merge base as well.", default=False),
    },
    default={},
)


ALIKE = _mapping(
    "What has to be the same in candidate and baseline for a comparison to count.",
    {
        "hyperparameters": _list(
            "Hyperparameters, as patterns of section and name.",
            _text("A pattern.", "a pattern Section/name, such as Args/dataset or Dataset/*", form=r"(?=[^/]+/.)"),
        ),
        "packages": _list(
            "Python packages, by name.",
            _text(
                "A package.",
                "a package's name without a version, such as torch",
                form=r"(?=[A-Za-z0-9][A-Za-z0-9._-]*$)",
            ),
        ),
        "inputs": _switch("Input models and datasets.", default=False),
        "difference": _choice(
            "What a difference does: the check is inconclusive, or only warns.",
            "inconclusive",
            "warn",
            default="inconclusive",
        ),
    },
    default={},
)


REMOTE_RUN = _mapping(
    "Run the pull request's commit on an agent. Without this key nothing is run.",
    {
        "until": _choice(
            "When the run has shown enough: at its first sign of progress (it is stopped then), or at its end.",
            "first-iteration",
            "completion",
            "off",
            default="first-iteration",
        ),
        "queue": _text("The queue of the agents that run pull-request code.", _QUOTED),
        "project": _text("The project of the launched task.", _A_PROJECT, form=_PROJECT),
        "name": _text("The name of the launched task.", _A_NAME, form=r"(?=.{3})"),
        "script": _text("The script to run.", _PATH + "train.py", form=_INSIDE),
        "module": _text(
            "The module to run instead of a script, with its arguments.",
            'a module and its arguments, such as "pytest -m gpu"',
            form=r"(?=[A-Za-z_][A-Za-z0-9_.]*( |$))",
        ),
        "folder": _text("The folder that it runs in.", _PATH + "models/digits", form=_INSIDE, default="."),
        "requirements": _text("The requirements file.", _PATH + "requirements.txt", form=_INSIDE),
        "packages": _list(
            "Packages to install, besides those of the requirements file.",
            _text("A requirement.", "a requirement such as torch==2.3.0", form=r"(?=[A-Za-z0-9])"),
        ),
        "args": _list(
            "The script's arguments.",
            _text("An argument.", "name=value without leading dashes, such as epochs=1", form=r"(?=[^=\s-][^=]*=)"),
        ),
        "docker_image": _text("The container image; empty: the agent's own.", _QUOTED, empty=True, default=""),
        "docker_args": _text("Arguments of the container.", _QUOTED, empty=True, default=""),
        "queue_limit": _seconds("Seconds that the run may wait in the queue.", default=600),
        "setup_limit": _seconds("Seconds from the queue to the script's start.", default=600),
        "progress_limit": _seconds(
            "Seconds from the script's start to the first progress, or to the end.", default=600
        ),
        "inject_task_init": _switch("Add Task.init where the entry file cannot be read.", default=False),
        "approval_label": _text(
            "The label that lets a fork's commit run.",
            "a label's name of at most 50 characters",
            maxLength=50,
            default="run-remote",
        ),
    },
    allOf=[
        {
            "if": {"properties": {"until": {"const": "off"}}, "required": ["until"]},
            "else": {
                "oneOf": [{"required": ["script"]}, {"required": ["module"]}],
                "errorMessage": "exactly one of script, module",
            },
        },
        {
            "if": {"required": ["module"]},
            "then": {
                "properties": {
                    "args": {
                        "maxItems": 0,
                        "errorMessage": "no args beside module: its arguments stand behind its name",
                    }
                }
            },
        },
    ],
)


SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ClearML CI policy",
    **_mapping(
        "What ClearML CI asks of a pull request: .github/clearml-ci.yml of the base branch, or what a job names.",
        {
            "version": {"const": 1, **_told("The version of this form.", "1")},
            "name": NAME,
            "project": _text(
                "The ClearML project of the tasks; absent: the whole workspace.", _A_PROJECT, form=_PROJECT
            ),
            "task_name": _text("The exact name of the tasks; absent: any.", _A_NAME, form=r"(?=.{3})"),
            "candidate": _choice(
                "The task that is judged: one that was found, one that is trained for the check, either, or none.",
                "find",
                "train",
                "find-or-train",
                "none",
                default="find",
            ),
            "evidence": EVIDENCE,
            "gates": _list("The metrics that are judged.", GATE),
            "baselines": BASELINES,
            "alike": ALIKE,
            "remote_run": REMOTE_RUN,
            "comment": _choice(
                "When the pull request gets its comment.", "always", "on-change", "on-failure", "off", default="always"
            ),
            "comment_authors": _list(
                "Logins whose comment with our marker is ours as well.",
                _text(
                    "A login.",
                    "a GitHub login, such as my-bot or my-app[bot]",
                    form=r"(?=[A-Za-z0-9][A-Za-z0-9_-]*(\[bot\])?$)",
                ),
            ),
            "inconclusive": _choice(
                "What the check shows where the evidence cannot decide.", "fail", "pass", default="fail"
            ),
            "promote": _choice(
                "When the best tag moves: after a merge to a better model, or to any that passed, or before the merge.",
                "better",
                "passing",
                "on-pass",
                default="better",
            ),
        },
        required=("version",),
        allOf=[
            {
                "if": {"properties": {"candidate": {"const": "none"}}, "required": ["candidate"]},
                "then": {
                    "properties": {"gates": {"maxItems": 0, "errorMessage": "no gates where candidate is none"}},
                },
            },
            {
                "if": {"properties": {"candidate": {"enum": ["train", "find-or-train"]}}, "required": ["candidate"]},
                "then": {
                    "properties": {
                        "remote_run": {
                            "properties": {
                                "until": {
                                    "const": "completion",
                                    "errorMessage": "completion, where candidate is train or find-or-train",
                                }
                            },
                            "required": ["until"],
                        }
                    }
                },
            },
        ],
    ),
}


def defaults(mapping: Schema) -> dict[str, Any]:
    """The values of a mapping's absent keys, of those that have one."""
    return {name: one["default"] for name, one in mapping["properties"].items() if "default" in one}


def fits(text: str, form: Schema) -> bool:
    """Is a text what one of the texts of this schema may be?"""
    return re.match(form["pattern"], text) is not None and len(text) <= form.get("maxLength", len(text))


def title_and_series(metric: str | dict[str, str]) -> tuple[str, str]:
    """What a gate's `metric` names: a text is split at its first '/'."""
    if isinstance(metric, dict):
        return metric["title"], metric["series"]
    title, _, series = metric.partition("/")
    return title, series
