"""Like for like: what differs between the inputs of two tasks, and which of it makes their comparison mean nothing."""

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clearml_ci.core.documents import DifferenceDocument
from clearml_ci.core.redaction import mask

MASKED = "***"


MOST = 100  # differences that a result carries; those that matter come first


_LONGEST = 120  # characters of a value


_MOST_NAMED = 3


_SECRET = re.compile(r"key|secret|token|passw|credential", re.IGNORECASE)


_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+(?=@)")  # `https://user:token@host`, as packages from git are pinned


_PACKAGE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*((?:[=<>~!@(].*)?)")


_EGG = re.compile(r"[#&]egg=([A-Za-z0-9._-]+)")


@dataclass(frozen=True)
class Inputs:
    """What went into a task: hyperparameters by `Section/name`, versions by package, datasets and models by name."""

    hyperparameters: Mapping[str, str]
    packages: Mapping[str, str]
    inputs: Mapping[str, str]
    gpu: str = ""


@dataclass(frozen=True)
class Alike:
    """What must be alike: patterns of `Section/name`, names of packages, and whether datasets and input models are.

    `difference` says what a difference makes of the comparison: "inconclusive", or "warn".
    """

    hyperparameters: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    inputs: bool = False
    difference: str = "inconclusive"


NOTHING = Alike()  # no policy: differences are shown, and none of them matters


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same; None where it is not there at all. Values are masked and cut already."""

    kind: str
    name: str
    candidate: str | None
    baseline: str | None
    matters: bool


def differences(alike: Alike, candidate: Inputs, baseline: Inputs) -> list[Difference]:
    """All that differs, what matters first."""
    pairs: list[tuple[str, Mapping[str, str], Mapping[str, str]]] = [
        ("input", candidate.inputs, baseline.inputs),
        ("hyperparameter", candidate.hyperparameters, baseline.hyperparameters),
        ("package", candidate.packages, baseline.packages),
    ]
    if candidate.gpu and baseline.gpu:  # recorded only where the machine is monitored
        pairs.append(("GPU", {"type": candidate.gpu}, {"type": baseline.gpu}))
    found = [
        Difference(kind, _cut(name), _shown(name, ours.get(name)), _shown(name, theirs.get(name)), matters)
        for kind, ours, theirs in pairs
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
        for matters in [_matters(alike, kind, name)]
    ]
    return sorted(found, key=lambda one: not one.matters)


def unlike(found: Sequence[Difference]) -> str:
    """`not like for like: Args/dataset is a, was b`, or nothing where no difference matters."""
    said = [f"{one.name} is {_word(one.candidate)}, was {_word(one.baseline)}" for one in found if one.matters]
    more = f"; and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
    return f"not like for like: {'; '.join(said[:_MOST_NAMED])}{more}" if said else ""


def as_documents(found: Iterable[Difference]) -> list[DifferenceDocument]:
    """The first of them as results and verdicts carry them."""
    return [
        {
            "kind": one.kind,
            "name": one.name,
            "candidate": one.candidate,
            "baseline": one.baseline,
            "matters": one.matters,
        }
        for one in list(found)[:MOST]
    ]


def packages(requirements: str) -> dict[str, str]:
    """Versions by normalised name, from the text of pip requirements. Options and comments are left out."""
    found = {}
    for line in requirements.splitlines():
        text = re.split(r"(?:^|\s)#|;", line.strip(), maxsplit=1)[0].strip()
        egg, match = _EGG.search(text), _PACKAGE.fullmatch(text)
        if egg and "://" in text:
            found[_normal(egg[1])] = text.removeprefix("-e").strip()
        elif match and "://" not in match[1]:
            found[_normal(match[1])] = match[2].removeprefix("==").strip()
    return found


def _matters(alike: Alike, kind: str, name: str) -> bool:
    if kind == "hyperparameter":
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in alike.hyperparameters)
    if kind == "package":
        return name in {_normal(package) for package in alike.packages}
    return kind == "input" and alike.inputs


def _normal(package: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", package).lower()


def _shown(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    return MASKED if _SECRET.search(name) else _cut(mask(_IN_ADDRESS.sub(MASKED, value)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _word(value: str | None) -> str:
    if value is None:
        return "not set"
    return value or "empty"
