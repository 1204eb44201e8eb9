"""The inputs of two tasks: how they differ, and which differences make their metrics not comparable."""

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from clearml_ci.core.documents import DifferenceDocument
from clearml_ci.core.formatting import listed, shorten
from clearml_ci.core.redaction import mask
from clearml_ci.core.secret_spellings import MASKED

MOST = 100  # differences that a result carries; those that matter come first


_LONGEST = 120  # characters of a value


_READ = 2_000  # characters of a value that are read: masking takes time


_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # `https://user:token@host`, as packages from git are pinned


_SECRET = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


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

    Name and values are masked and shortened already; of those that no result carries, the values are `***`.
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
        (kind, name, ours.get(name), theirs.get(name), _matters(rules, kind, name))
        for kind, ours, theirs in pairs
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    ]
    found = [*_unrecorded(rules, candidate, baseline), *found]
    found.sort(key=lambda difference: not difference[-1])
    return [
        Difference(kind, _text(name), _shown(name, value, number), _shown(name, other, number), matters)
        for number, (kind, name, value, other, matters) in enumerate(found)
    ]


def _unrecorded(
    rules: MatchRules, candidate: Inputs, baseline: Inputs
) -> Iterator[tuple[str, str, str | None, str | None, bool]]:
    """The required inputs that neither task recorded, so that a match is unknown."""
    hyperparameters = {*candidate.hyperparameters, *baseline.hyperparameters}
    for pattern in rules.hyperparameters:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in hyperparameters):
            yield "hyperparameter", pattern, None, None, True
    for package in rules.packages:
        if canonicalize_name(package) not in {*candidate.packages, *baseline.packages}:
            yield "package", package, None, None, True
    if rules.inputs and not candidate.inputs and not baseline.inputs:
        yield "input", "datasets and models", None, None, True


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


def _shown(name: str, value: str | None, number: int) -> str | None:
    """The value of a difference with this number in the list."""
    if value is None:
        return None
    return MASKED if number >= MOST or _SECRET.search(name) else _text(value)


def _text(text: str) -> str:
    return shorten(mask(_IN_ADDRESS.sub(MASKED, text), read=_READ), _LONGEST)


def _value(value: str | None) -> str:
    if value is None:
        return "not set"
    return value or "empty"
