"""The policy file `.github/clearml-ci.yml`: a team's rules for its pull requests.

It is read from the base branch, so a pull request cannot change what it is judged by.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

from clearml_ci.core import checkpoint
from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import OWN, Gate
from clearml_ci.core.redaction import excerpt
from clearml_ci.parameters import catalogue, check, forms, texts
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.forms import LONGEST_NAME
from clearml_ci.parameters.parameter import Key
from clearml_ci.parameters.remote_run import COMPLETION, DEFAULT_SCRIPT, TRAINING
from clearml_ci.policy import problems as policy_problems
from clearml_ci.policy import schema, yaml_reader

FILE = ".github/clearml-ci.yml"


@dataclass(frozen=True)
class Policy:
    """A valid policy; `source` names its file.

    `check` is the check that it describes, with its defaults; a field that it leaves to the job is empty. `remote_run`
    has its keys without their defaults, and is None if nothing is run. `audit` has the fields of an audit that it sets.
    """

    source: str
    check: Check
    remote_run: Mapping[str, Any] | None
    audit: Mapping[str, Any] = field(default_factory=dict)

    def governed(self, own: Check) -> Check:
        """A job's own check as the policy has it.

        Its name is the policy's even if that has none: a required status must be set by the policy of its name.
        """
        values = {field: getattr(self.check, field) for field, key in _FIELDS}
        open_ = {field for field, key in _FIELDS if key.open and not values[field]}
        return replace(own, **{field: value for field, value in values.items() if field not in open_})


_OF_AUDITS = {
    parameter.field: key for parameter, key in catalogue.of_policies() if parameter.pipelines == (catalogue.AUDIT,)
}


_FIELDS = [
    (parameter.field, key)
    for parameter, key in catalogue.of_policies()
    if not key.path.startswith("remote_run.") and parameter.field not in _OF_AUDITS
]


def schema_text() -> str:
    """The JSON schema of the file, for editors, as `.github/clearml-ci.schema.json` holds it."""
    return json.dumps(schema.SCHEMA, indent=2) + "\n"


def load(text: str, *, source: str, path: str = FILE) -> Policy:
    """The policy in a file's text. Raises UsageError with a line for every problem; `source` names the file.

    A check by another file than the usual one is named after that file, unless it has a `name`: each check needs a
    status of its own.
    """
    read = yaml_reader.read(text)
    problems = [*read.problems, *(policy_problems.of(read.data, read.lines) if read.lines else [])]
    if problems:
        raise UsageError(policy_problems.report(problems, source=source))
    policy = _policy(read.data, source)
    texts.without_secret(policy.check.name, f"{source}: name")
    if path == FILE or policy.check.name:
        return policy
    return replace(policy, check=replace(policy.check, name=name_of(path)))


def name_of(path: str) -> str:
    """The name of a check by the policy at this path, if that has no `name`; empty for the usual path.

    It does not end with a parenthesis: a status ends with one to name a branch.
    """
    stem = PurePosixPath(excerpt(path, len(path))).stem
    return "" if path == FILE else " ".join(stem.split())[:LONGEST_NAME].rstrip(")")


def read(path: str | Path) -> Policy:
    """The policy in this file. Raises UsageError if it cannot be read or is not valid."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(yaml_reader.LARGEST + 1)
        text = data.decode("utf-8", "strict" if len(data) <= yaml_reader.LARGEST else "replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a policy file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text (byte {error.start}): save it as UTF-8") from error
    return load(text, source=str(path))


def summary(policy: Policy) -> str:
    """The policy as a user can compare it with the intention."""
    check = policy.check
    ignored = check.ignored_paths
    lines = [
        *([f"name: {check.name}"] if check.name else []),
        f"project: {check.project or 'the whole workspace'}",
        f"tasks: {check.task_name or 'any'}",
        f"candidate: {check.candidate}",
        *([f"an earlier commit counts when only these changed: {', '.join(ignored)}"] if ignored else []),
        *(
            [f"gate: {_gate_line(gate)}" for gate in checkpoint.resolved(check.gates, check.at)]
            or ["gate: none, nothing is compared"]
        ),
        f"baseline: tag {check.best_tag}{', and main at the merge base' if check.baseline_main else ''}",
        f"alike: {_alike_line(check.alike)}",
        f"loss: {_loss_line(check)}",
        f"accepted by: role {check.accept_role}{', also the author' if check.accept_author else ', not the author'}",
        f"remote run: {_remote_line(policy.remote_run, is_trained=check.candidate in TRAINING)}",
        "; ".join(f"{field}: {getattr(check, field)}" for field in _REPORT),
    ]
    return "\n".join(lines)


_REPORT = [
    parameter.field
    for parameter, _ in catalogue.of_policies()
    if parameter.group == catalogue.REPORT and parameter.pipelines
]


def _policy(document: Any, source: str) -> Policy:
    values = {field: _VALUES.get(field, _plain)(_value(document, key)) for field, key in _FIELDS}
    of_audits = {field: document[key.path] for field, key in _OF_AUDITS.items() if key.path in document}
    return Policy(source, replace(check.NOTHING, **values), document.get("remote_run"), of_audits)


def _value(document: Mapping[str, Any], key: Key) -> Any:
    """The value of a key, its default if it is absent, or an empty text."""
    properties: Any = schema.SCHEMA["properties"]
    value: Any = document
    for name in key.path.split("."):
        value = value.get(name, properties[name].get("default", ""))
        properties = properties[name].get("properties", {})
    return value


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _alike(document: Mapping[str, Any]) -> MatchRules:
    filled = {**schema.defaults(schema.ALIKE), **document}
    return MatchRules(**{name: _plain(value) for name, value in filled.items()})


def _gate(document: Mapping[str, Any]) -> Gate:
    filled = {**schema.defaults(schema.GATE), **document}
    title, series = schema.title_and_series(filled["metric"])
    allowed = filled["max_regression"]
    relative = isinstance(allowed, str)
    return Gate(
        title=title,
        series=series,
        goal=forms.GOAL.read(filled["goal"], "goal"),
        value=filled["value"],
        tolerance=float(allowed.removesuffix("%")) if relative else float(allowed),
        relative=relative,
        minimum=_float(filled.get("min")),
        maximum=_float(filled.get("max")),
        required=filled["required"],
        allow_zero=filled["allow_zero"],
        at=filled.get("at", ""),
    )


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)


def _allowed(gate: Gate) -> str:
    """The tolerance in percent, every digit of it: `3%`, and `0.00001%` rather than `1e-05%`."""
    return f"{Decimal(repr(gate.tolerance)).normalize():f}%"


def _gate_line(gate: Gate) -> str:
    allowed = f"{_allowed(gate)} of the baseline" if gate.relative else f"{gate.tolerance:g} in the unit of the metric"
    each = "each series that matches " if gate.is_pattern else ""
    parts = [f"{each}{gate.name} ({_read_at(gate)}, {gate.goal})", f"worse by at most {allowed}"]
    parts += [f"at least {gate.minimum:g}"] if gate.minimum is not None else []
    parts += [f"at most {gate.maximum:g}"] if gate.maximum is not None else []
    parts += ["0 allowed"] if gate.allow_zero else []
    return ", ".join([*parts, "required" if gate.required else "advisory"])


def _read_at(gate: Gate) -> str:
    return gate.value if gate.at in OWN else f"at the {'last iteration' if gate.at == checkpoint.LAST else gate.at}"


def _alike_line(alike: MatchRules) -> str:
    required = [*alike.hyperparameters, *alike.packages, *(["input models and datasets"] if alike.inputs else [])]
    return f"{', '.join(required)}; a difference: {alike.difference}" if required else "nothing is asked"


def _loss_line(check: Check) -> str:
    """The rule for a loss, and the repeats that it may ask for."""
    seed = check.seed or "seed, random_seed or random_state"
    repeats = f"{check.repeats} repeats, {check.repeats_hours:g} hours of agents" if check.repeats else "no repeats"
    return f"rule {check.rule}; undecided: {check.undecided}; seed in {seed}; {repeats}"


def _remote_line(remote_run: Mapping[str, Any] | None, *, is_trained: bool) -> str:
    filled = {**schema.defaults(schema.REMOTE_RUN), **(remote_run or {})}
    if is_trained:
        filled["until"] = COMPLETION
    elif remote_run is None or filled["until"] == "off":
        return "off"
    queue = f" on the queue {filled['queue']}" if "queue" in filled else ""
    return f"{filled.get('script') or filled.get('module') or DEFAULT_SCRIPT}{queue}, until {filled['until']}"


_VALUES: dict[str, Callable[[Any], Any]] = {"gates": lambda gates: tuple(map(_gate, gates)), "alike": _alike}
