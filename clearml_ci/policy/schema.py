"""The JSON schema of the policy file: editors complete from it, files are checked against it, defaults come from it.

Its keys are those of the list of parameters. What is nested below a parameter, and what holds between keys, is here.
"""

from typing import Any

from clearml_ci.core.gate import Gate
from clearml_ci.parameters import catalogue, forms, json_schema
from clearml_ci.parameters.json_schema import Schema, described
from clearml_ci.parameters.parameter import Key, Parameter

_TEXT = json_schema.text(json_schema.A_TEXT)


_METRIC = json_schema.text("title/series, or a mapping of title, series", form=r"(?=[^/]*[^/\s]/\S)") | {
    "type": ["string", "object"],
    "properties": {
        "title": described(_TEXT, "The scalar's title; it may hold a `/`."),
        "series": described(_TEXT, "The scalar's series."),
    },
    "required": ["title", "series"],
    "additionalProperties": False,
}


_TOLERANCE = json_schema.text(
    "a percentage such as 3%, or a number that is not negative", form=r"(?=[0-9]{1,6}(\.[0-9]+)? ?%$)", minimum=0
) | {"type": ["string", "number"]}


GATE = json_schema.mapping(
    {
        "metric": described(
            _METRIC,
            "The scalar: `title/series`, split at the first `/`, or a mapping `{title: a/b, series: c}` if the title "
            "holds one. The title of a single value is `Summary`. `*` stands for any text: each series that matches "
            "is a gate.",
        ),
        "goal": described(
            json_schema.choice("maximize", "minimize", "MAX", "MIN"),
            "The direction that is better: `maximize` or `minimize` (`MAX`, `MIN`).",
            default=Gate.goal,
        ),
        "value": described(
            json_schema.choice("best", "last"),
            "The value that is compared: the `best` of the curve in the goal's direction, or the `last`.",
            default=Gate.value,
        ),
        "at": described(
            forms.AT.schema,
            "The iteration of each run at which it is read: `own`, its own best or last; `last`, that of the run; or "
            "`best of title/series`, the best one of the metric of another gate. If it is absent: that of all gates.",
        ),
        "max_regression": described(
            _TOLERANCE,
            "How much worse than the baseline is allowed: a percentage of its absolute value, such as `3%`, or a "
            "number in the metric's unit.",
            default="0%",
        ),
        "min": described(json_schema.NUMBER, "The smallest value that is allowed, whatever the baseline."),
        "max": described(json_schema.NUMBER, "The largest value that is allowed, whatever the baseline."),
        "required": described(
            json_schema.SWITCH, "`false`: the gate is advisory; it is shown and does not decide.", default=Gate.required
        ),
        "allow_zero": described(
            json_schema.SWITCH,
            "`true`: 0 is a value of this metric. By default it decides nothing, because ClearML records NaN as 0.",
            default=Gate.allow_zero,
        ),
    },
    required=("metric",),
)


ALIKE = json_schema.mapping(
    {
        "hyperparameters": described(
            json_schema.list_of(
                json_schema.text("a pattern Section/name, such as Args/dataset or Dataset/*", form=r"(?=[^/]+/.)")
            ),
            "Hyperparameters that must be the same in candidate and baseline, as patterns `Section/name`: "
            "`Args/dataset`, `Dataset/*`.",
            default=[],
        ),
        "packages": described(
            json_schema.list_of(
                json_schema.text(
                    "a package's name without a version, such as torch", form=r"(?=[A-Za-z0-9][A-Za-z0-9._-]*$)"
                )
            ),
            "Python packages whose versions must be the same, by name.",
            default=[],
        ),
        "inputs": described(json_schema.SWITCH, "`true`: input models and datasets must be the same.", default=False),
        "difference": described(
            json_schema.choice("inconclusive", "warn"),
            "What a difference, or a value that no task recorded, makes the check: `inconclusive`, or only `warn`.",
            default="inconclusive",
        ),
    },
)


_NESTED = {"gates": json_schema.list_of(described(GATE, "One metric and what it must hold.")), "alike": ALIKE}


_GROUPS = {
    "accept": "Who may accept a loss with a comment.",
    "evidence": "Tasks that count as evidence besides those of the checked commit.",
    "baselines": "The tasks that the candidate is compared with.",
    "remote_run": "Run the pull request's commit on an agent; without this key nothing is run, unless the candidate is "
    "trained.",
}


_REMOTE_RUN_RULES = [
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
]


_RULES = [
    {
        "if": {"properties": {"candidate": {"const": "none"}}, "required": ["candidate"]},
        "then": {
            "properties": {"gates": {"maxItems": 0, "errorMessage": "no gates if candidate is none"}},
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
                            "errorMessage": "completion, if candidate is train or find-or-train",
                        }
                    },
                    "required": ["until"],
                }
            }
        },
    },
    {
        "if": {"properties": {"repeats": {"enum": [1, 2, 3, 4]}}, "required": ["repeats"]},
        "then": {
            "properties": {
                "candidate": {
                    "enum": ["train", "find-or-train"],
                    "errorMessage": "train, find-or-train, if there are repeats",
                }
            },
            "required": ["candidate"],
        },
    },
]


def _of_parameter(parameter: Parameter, key: Key) -> Schema:
    schema = _NESTED.get(key.path) or (parameter.form.schema if parameter.form else {})
    absent = f" If it is absent: {key.absent}." if key.absent else ""
    return described(schema, (key.help or parameter.help) + absent, **_default(parameter, key))


def _default(parameter: Parameter, key: Key) -> dict[str, Any]:
    """The keyword `default`, if an absent key has a value."""
    if key.default is not None:
        return {"default": key.default}
    if parameter.default and not key.absent:
        return {"default": parameter.value("", parameter.name)}
    return {}


def _below(group: str) -> dict[str, Schema]:
    """The keys of a group; the group "" has those that stand alone."""
    return {
        name: _of_parameter(parameter, key)
        for parameter, key in catalogue.of_policies()
        for above, _, name in [key.path.rpartition(".")]
        if above == group
    }


def _group(name: str) -> Schema:
    schema = json_schema.mapping(_below(name))
    if name == "remote_run":
        return described(schema, _GROUPS[name], allOf=_REMOTE_RUN_RULES)
    return described(schema, _GROUPS[name], default={})


def _properties() -> dict[str, Schema]:
    """The keys of the first level, in the order of the parameters."""
    alone = _below("")
    heads = dict.fromkeys(key.path.partition(".")[0] for _, key in catalogue.of_policies())
    return {head: _group(head) if head in _GROUPS else alone[head] for head in heads}


SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "ClearML CI policy",
    **described(
        json_schema.mapping(
            {
                "version": {"description": "The version of this form: `1`.", "const": 1, "errorMessage": "1"},
                **_properties(),
            },
            required=("version",),
            allOf=_RULES,
        ),
        "What ClearML CI asks of a pull request: .github/clearml-ci.yml of the base branch, or the file that a job "
        "names.",
    ),
}


REMOTE_RUN: Schema = SCHEMA["properties"]["remote_run"]


def defaults(mapping: Schema) -> dict[str, Any]:
    """The values of a mapping's absent keys, of those that have one."""
    return {name: schema["default"] for name, schema in mapping["properties"].items() if "default" in schema}


def title_and_series(metric: str | dict[str, str]) -> tuple[str, str]:
    """The scalar that a gate's `metric` names: a text is split at its first '/'."""
    if isinstance(metric, dict):
        return metric["title"], metric["series"]
    title, _, series = metric.partition("/")
    return title, series
