"""The inputs of two tasks: how they differ, and which differences make their metrics not comparable."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from clearml_ci.core.documents import DifferenceDocument
from clearml_ci.core.formatting import listed, shorten
from clearml_ci.core.redaction import mask

MASKED = "***"


MOST = 100  # differences that a result carries; those that matter come first


_LONGEST = 120  # characters of a value


_SECRET = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # `https://user:token@host`, as packages from git are pinned


@dataclass(frozen=True)
class Inputs:
    """The inputs of a task: hyperparameters by `Section/name`, versions by package, datasets and models by name."""

    hyperparameters: Mapping[str, str]
    packages: Mapping[str, str]
    inputs: Mapping[str, str]
    gpu: str = ""


@dataclass(frozen=True)
class MatchRules:
    """The inputs that must match: patterns of `Section/name`, names of packages, and `inputs`: datasets and models.

    `difference` is what a mismatch makes of the comparison: "inconclusive", or only a warning ("warn").
    """

    hyperparameters: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    inputs: bool = False
    difference: str = "inconclusive"


NO_RULES = MatchRules()  # without a policy: differences are shown, and none of them matters


@dataclass(frozen=True)
class Difference:
    """One input that differs, or that neither task recorded; None: the task does not have it.

    Values are masked and shortened already.
    """

    kind: str
    name: str
    candidate: str | None
    baseline: str | None
    matters: bool


def differences(rules: MatchRules, candidate: Inputs, baseline: Inputs) -> list[Difference]:
    """All inputs that differ, those that matter first."""
    pairs: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = [
        ("input", candidate.inputs, baseline.inputs),
        ("hyperparameter", candidate.hyperparameters, baseline.hyperparameters),
        ("package", candidate.packages, baseline.packages),
    ]
    if candidate.gpu and baseline.gpu:  # recorded only if the machine is monitored
        pairs.append(("GPU", {"type": candidate.gpu}, {"type": baseline.gpu}))
    found = [
        Difference(kind, shorten(name, _LONGEST), _shown(name, ours.get(name)), _shown(name, theirs.get(name)), matters)
        for kind, ours, theirs in pairs
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
        for matters in [_matters(rules, kind, name)]
    ]
    unrecorded = [Difference(kind, name, None, None, True) for kind, name in _unrecorded(rules, candidate, baseline)]
    return sorted([*unrecorded, *found], key=lambda difference: not difference.matters)


def _unrecorded(rules: MatchRules, candidate: Inputs, baseline: Inputs) -> Iterator[tuple[str, str]]:
    """The required inputs that neither task recorded, so that a match is unknown."""
    hyperparameters = {*candidate.hyperparameters, *baseline.hyperparameters}
    for pattern in rules.hyperparameters:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in hyperparameters):
            yield "hyperparameter", pattern
    for package in rules.packages:
        if canonicalize_name(package) not in {*candidate.packages, *baseline.packages}:
            yield "package", package
    if rules.inputs and not candidate.inputs and not baseline.inputs:
        yield "input", "datasets and models"


def violation(found: Sequence[Difference]) -> str:
    """`not comparable: Args/dataset is a, was b`, or "" if no difference matters."""
    mismatches = [
        f"neither task recorded {difference.name}"
        if difference.candidate is difference.baseline is None
        else f"{difference.name} is {_value(difference.candidate)}, was {_value(difference.baseline)}"
        for difference in found
        if difference.matters
    ]
    return f"not comparable: {listed(mismatches)}" if mismatches else ""


def as_documents(found: Iterable[Difference]) -> list[DifferenceDocument]:
    """The first differences, as results and verdicts carry them."""
    return [
        {
            "kind": difference.kind,
            "name": difference.name,
            "candidate": difference.candidate,
            "baseline": difference.baseline,
            "matters": difference.matters,
        }
        for difference in list(found)[:MOST]
    ]


def _matters(rules: MatchRules, kind: str, name: str) -> bool:
    if kind == "hyperparameter":
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in rules.hyperparameters)
    if kind == "package":
        return name in {canonicalize_name(package) for package in rules.packages}
    return kind == "input" and rules.inputs


def _shown(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    return MASKED if _SECRET.search(name) else shorten(mask(_IN_ADDRESS.sub(MASKED, value)), _LONGEST)


def _value(value: str | None) -> str:
    if value is None:
        return "not set"
    return value or "empty"
