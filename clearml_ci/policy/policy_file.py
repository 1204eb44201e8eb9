"""What a team asks of its pull requests: the policy file `.github/clearml-ci.yml`, understood.

The file belongs to the base branch, so a pull request cannot change what it is judged by.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from clearml_ci.core.comparability import MatchRules
from clearml_ci.core.errors import UsageError
from clearml_ci.core.gate import Gate
from clearml_ci.parameters import check
from clearml_ci.policy import problems as policy_problems
from clearml_ci.policy import schema, yaml_reader

FILE = ".github/clearml-ci.yml"


@dataclass(frozen=True)
class Evidence:
    """Files that no run depends on (patterns)."""

    ignored_paths: tuple[str, ...]


@dataclass(frozen=True)
class Baselines:
    """The tag of the best task; `main`: main's own task at the merge base as well."""

    tag: str
    main: bool


@dataclass(frozen=True)
class Policy:
    """A valid policy, its defaults filled in but for those of `remote_run`.

    `source` says whose it is. `name` is empty where the repository has one check; `project` and `task_name` are empty
    where any will do; `remote_run` is None where nothing is run.
    """

    source: str
    name: str
    project: str
    task_name: str
    candidate: str
    evidence: Evidence
    gates: tuple[Gate, ...]
    baselines: Baselines
    alike: MatchRules
    remote_run: Mapping[str, Any] | None
    comment: str
    comment_authors: tuple[str, ...]
    inconclusive: str
    promote: str


def schema_text() -> str:
    """The JSON schema of the file, for editors, as `.github/clearml-ci.schema.json` holds it."""
    return json.dumps(schema.SCHEMA, indent=2) + "\n"


def load(text: str, *, source: str) -> Policy:
    """The policy in a file's text. Raises UsageError with a line for every problem; `source` names the file."""
    found = yaml_reader.read(text)
    unfit = policy_problems.of(found.data, found.lines) if found.lines else []
    problems = [*found.problems, *unfit]
    if problems:
        raise UsageError(policy_problems.told(problems, source=source))
    return _policy(found.data, source)


def validate_file(path: str | Path) -> str:
    """The summary of the policy in this file. Raises UsageError where it cannot be read or is not in order."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(yaml_reader.LARGEST + 1)
        text = data.decode("utf-8", "strict" if len(data) <= yaml_reader.LARGEST else "replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}; give the path of a policy file") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no UTF-8 text (byte {error.start}): save it as UTF-8") from error
    return summary(load(text, source=str(path)))


def summary(policy: Policy) -> str:
    """What was understood, for a person to read."""
    ignored = policy.evidence.ignored_paths
    lines = [
        *([f"name: {policy.name}"] if policy.name else []),
        f"project: {policy.project or 'the whole workspace'}",
        f"tasks: {policy.task_name or 'any'}",
        f"candidate: {policy.candidate}",
        *([f"an earlier commit counts when only these changed: {', '.join(ignored)}"] if ignored else []),
        *([f"gate: {_gate_line(gate)}" for gate in policy.gates] or ["gate: none, nothing is compared"]),
        f"baseline: tag {policy.baselines.tag}{', and main at the merge base' if policy.baselines.main else ''}",
        f"alike: {_alike_line(policy.alike)}",
        f"remote run: {_remote_line(policy.remote_run)}",
        f"comment: {policy.comment}; inconclusive: {policy.inconclusive}; promote: {policy.promote}",
    ]
    return "\n".join(lines)


def _policy(document: Any, source: str) -> Policy:
    filled = {**schema.defaults(schema.SCHEMA), **document}
    evidence = {**schema.defaults(schema.EVIDENCE), **filled["evidence"]}
    alike = {**schema.defaults(schema.ALIKE), **filled["alike"]}
    return Policy(
        source=source,
        name=filled.get("name", ""),
        project=filled.get("project", ""),
        task_name=filled.get("task_name", ""),
        candidate=filled["candidate"],
        evidence=Evidence(tuple(evidence["ignored_paths"])),
        gates=tuple(_gate(gate) for gate in filled["gates"]),
        baselines=Baselines(**{**schema.defaults(schema.BASELINES), **filled["baselines"]}),
        alike=MatchRules(
            hyperparameters=tuple(alike["hyperparameters"]),
            packages=tuple(alike["packages"]),
            inputs=alike["inputs"],
            difference=alike["difference"],
        ),
        remote_run=filled.get("remote_run"),
        comment=filled["comment"],
        comment_authors=tuple(filled["comment_authors"]),
        inconclusive=filled["inconclusive"],
        promote=filled["promote"],
    )


def _gate(document: Mapping[str, Any]) -> Gate:
    filled = {**schema.defaults(schema.GATE), **document}
    title, series = schema.title_and_series(filled["metric"])
    allowed = filled["max_regression"]
    relative = isinstance(allowed, str)
    return Gate(
        title=title,
        series=series,
        goal=check.GOALS[filled["goal"].upper()],
        value=filled["value"],
        tolerance=float(allowed.removesuffix("%")) if relative else float(allowed),
        relative=relative,
        minimum=_float(filled.get("min")),
        maximum=_float(filled.get("max")),
        required=filled["required"],
    )


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)


def _allowed(gate: Gate) -> str:
    """The tolerance in percent, every digit of it: `3%`, and `0.00001%` rather than `1e-05%`."""
    return f"{Decimal(repr(gate.tolerance)).normalize():f}%"


def _gate_line(gate: Gate) -> str:
    allowed = f"{_allowed(gate)} of the baseline" if gate.relative else f"{gate.tolerance:g}"
    parts = [f"{gate.name} ({gate.value}, {gate.goal})", f"worse by at most {allowed}"]
    parts += [f"at least {gate.minimum:g}"] if gate.minimum is not None else []
    parts += [f"at most {gate.maximum:g}"] if gate.maximum is not None else []
    return ", ".join([*parts, "required" if gate.required else "advisory"])


def _alike_line(alike: MatchRules) -> str:
    asked = [*alike.hyperparameters, *alike.packages, *(["input models and datasets"] if alike.inputs else [])]
    return f"{', '.join(asked)}; a difference: {alike.difference}" if asked else "nothing is asked"


def _remote_line(remote_run: Mapping[str, Any] | None) -> str:
    filled = {**schema.defaults(schema.REMOTE_RUN), **(remote_run or {})}
    if remote_run is None or filled["until"] == "off":
        return "off"
    queue = f" on the queue {filled['queue']}" if "queue" in filled else ""
    return f"{filled.get('script') or filled['module']}{queue}, until {filled['until']}"
