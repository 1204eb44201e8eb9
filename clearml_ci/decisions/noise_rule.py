"""The rule for gates whose noise is known: a loss counts if it is credible, and larger than the gate allows.

The levels are those of a grid that find most losses of two standard deviations, while of the changes that do nothing
at most 1 % are red, over all looks, and need at most 0.6 more trainings on average: on normal values and on the real
seeds of `tools/digits_seeds.csv`, with a reference of ten runs alone. `python -m tools.bench_noise` and
`python -m tools.noise_goals` print what they reach. `docs/gates.md` has the table of the decision.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from clearml_ci.core import gate as plain
from clearml_ci.core.formatting import count
from clearml_ci.core.gate import Gate, tolerance_text
from clearml_ci.core.multiple_tests import of_families
from clearml_ci.core.noise import Noise
from clearml_ci.core.outcome import HOLDS, Outcome
from clearml_ci.decisions import difference
from clearml_ci.decisions.difference import Difference

_MOST_ASKED_FOR = 5  # runs of one commit; all that there are count


# One-sided levels, by the number of runs. A loss is credible below the first, and suspicious below the second: it
# passes above, and between them more runs are asked for. Most suspicions end with one of them.
_LOOKS = {1: (0.0001, 0.35), 2: (0.0002, 0.14), 3: (0.0005, 0.06), 4: (0.0005, 0.06)}
_MORE = {1: 1, 2: 1, 3: 2, 4: 1}


_LAST = 0.0065  # a loss is credible if no more runs may follow
_ALONE = 0.008  # the same if no repeats are allowed, so that there is one look
_DOUBTED = 0.05  # a loss is doubted if no repeats are allowed; a policy may ask for `inconclusive`


_MANY = 10  # gates


_GAIN = 0.05  # a gain is credible
_RENEWAL = 0.005  # a gain begins the reference anew


@dataclass(frozen=True)
class Case:
    """One gate: the values of the candidate's sample (NaN: a run without one), of the reference, and the noise.

    `noise` is pooled over the reference and other commits' samples. `by_tolerance` is the judgement of the rule without
    noise, which decides while the noise is unknown.
    """

    gate: Gate
    by_tolerance: plain.Judgement
    values: Sequence[float]
    reference: Sequence[float]
    noise: Noise


@dataclass(frozen=True)
class Judgement:
    """The judgement of one gate; `difference`, `credible` and `visible` are None if the plain tolerance decided.

    `more`: so many more trainings of the same commit, with other seeds, are needed for a decision; until then the
    outcome is `inconclusive`. `credible`: the smallest loss, as measured and in the metric's unit, that counts;
    `visible`: the smallest one that is found in 80 % of cases.
    `better`: the candidate is at least as good, as estimated. `renews`: the reference begins anew if it is merged,
    unless another gate `may_be_worse`.
    """

    outcome: Outcome
    reason: str
    difference: Difference | None = None
    credible: float | None = None
    visible: float | None = None
    more: int = 0
    better: bool = False
    renews: bool = False
    may_be_worse: bool = False
    caveat: str = ""
    branch: str = ""

    @property
    def words(self) -> str:
        """The difference in one sentence, or ""."""
        if self.difference is None or self.visible is None:
            return ""
        return self.difference.words(visible=self.visible, of=self.branch)


@dataclass(frozen=True)
class Rule:
    """The options of the rule.

    `repeats`: so many trainings beyond the first may be asked for, 4 at most. `undecided`: the outcome of a doubted
    loss if none may be; `inconclusive` or `passed`. `branch` names the default branch.
    """

    repeats: int = 0
    undecided: Outcome = Outcome.PASSED
    branch: str = "main"

    def level(self, runs: int) -> float:
        """The level below which a loss is credible after so many runs."""
        if not self.repeats:
            return _ALONE
        return _LOOKS[runs][0] if runs < self.most else _LAST

    @property
    def most(self) -> int:
        """The number of runs after which nothing more is asked for."""
        return min(1 + self.repeats, _MOST_ASKED_FOR)


def judge(cases: Sequence[Case], rule: Rule) -> list[Judgement]:
    """The judgement of each case. The cases are the gates of one commit; an advisory gate asks for no trainings."""
    single = replace(rule, repeats=0)
    rules = [rule if case.gate.required else single for case in cases]
    differences = [_difference(case) for case in cases]
    corrected = _corrected(
        {index: (cases[index].gate, found.probability) for index, found in enumerate(differences) if found}
    )
    return [
        _judge(case, found, of, corrected[index]) if found else _by_tolerance(case, of)
        for index, (case, found, of) in enumerate(zip(cases, differences, rules, strict=True))
    ]


@dataclass(frozen=True)
class _Tested:
    """The probability of a loss, corrected for so many tests."""

    probability: float
    tests: int = 1


def _corrected(found: Mapping[int, tuple[Gate, float]]) -> dict[int, _Tested]:
    """The corrected probability of each loss, by the position of its gate: the slices of a pattern are a family.

    Advisory gates correct no others: each of their patterns stands alone.
    """
    families: dict[object, list[int]] = defaultdict(list)
    for index, (gate, _) in found.items():
        families[(gate.slice_of, gate.value, gate.at, gate.required) if gate.slice_of else index].append(index)
    required = [members for members in families.values() if found[members[0]][0].required]
    alone = [[members] for members in families.values() if members not in required]
    return {
        index: _Tested(probability, len(members) * len(group))
        for group in (required, *alone)
        for members, corrected in zip(
            group, of_families([[found[index][1] for index in members] for members in group]), strict=True
        )
        for index, probability in zip(members, corrected, strict=True)
    }


def trainings(judged: Sequence[Judgement]) -> int:
    """The number of trainings to start now; none if a gate failed already."""
    if any(judgement.outcome == Outcome.REGRESSED for judgement in judged):
        return 0
    return max((judgement.more for judgement in judged), default=0)


def _difference(case: Case) -> Difference | None:
    """The difference, or None if there is none or its noise is unknown."""
    values, reference = finite(case.values), finite(case.reference)
    if not values or not reference or not case.noise.and_values(values).known:
        return None
    return difference.between(case.gate, values, reference, case.noise)


def _judge(case: Case, found: Difference, rule: Rule, tested: _Tested) -> Judgement:
    """The judgement; `tested` is corrected for the number of gates."""
    tests = tested.tests
    outcome, reason = _outcome(case, found, rule, tested.probability, tests)
    level = rule.level(max(rule.most, found.runs))
    waits = outcome == Outcome.INCONCLUSIVE and found.runs < rule.most and len(case.values) == found.runs
    return Judgement(
        outcome,
        reason,
        found,
        credible=found.credible(most=rule.most, level=level, tests=tests),
        visible=found.visible(most=rule.most, level=level, tests=tests),
        more=min(_MORE[found.runs], rule.most - found.runs) if waits else 0,
        better=found.gain >= 0,
        renews=1 - found.probability < _RENEWAL / tests,
        may_be_worse=(tested.probability if case.gate.slice_of else found.probability) < _GAIN,
        caveat=_caveat(case),
        branch=rule.branch,
    )


def _outcome(case: Case, found: Difference, rule: Rule, probability: float, tests: int) -> tuple[Outcome, str]:
    name = case.gate.name
    by = f", by more than {tolerance_text(case.gate)}" if case.gate.tolerance else ""
    if case.by_tolerance.absolute:
        return Outcome.REGRESSED, case.by_tolerance.reason
    if found.runs > 1 and (missed := plain.missed_bound(case.gate, found.value)):
        return Outcome.REGRESSED, f"with the mean of {found.runs} runs, {missed}"
    if probability < rule.level(found.runs) and not found.is_allowed:
        return Outcome.REGRESSED, f"{name} is worse than {rule.branch}, beyond its noise{by}"
    if missing := len(case.values) - found.runs:
        runs = f"{missing} of {count(len(case.values), 'run')}"
        return Outcome.INCONCLUSIVE, f"{name} of {runs} of this commit is missing, or not a number that can be trusted"
    if found.runs < rule.most and _is_suspicious(found, tests):
        return Outcome.INCONCLUSIVE, f"{name} may be worse than {rule.branch}: more runs of this commit are needed"
    if not rule.repeats and probability < _DOUBTED and not found.is_allowed and rule.undecided == Outcome.INCONCLUSIVE:
        return Outcome.INCONCLUSIVE, f"{name} may be worse than {rule.branch}, and no repeats are allowed"
    if 1 - found.probability < _GAIN:
        return Outcome.IMPROVED, f"{name} is better than {rule.branch}, beyond its noise"
    if probability < rule.level(found.runs):
        return Outcome.PASSED, f"{name} is worse than {rule.branch}, but within {tolerance_text(case.gate)}"
    return Outcome.PASSED, f"{name} is not worse than {rule.branch}, as far as its noise lets see"


def _is_suspicious(found: Difference, tests: int) -> bool:
    """True if a loss beyond the tolerance is likely enough for more trainings.

    Of many gates, one is suspicious almost always: each of n has a limit 1/sqrt(n) as high. Of more than ten, the
    limit falls as n rises, so that a change that does nothing needs no more trainings than with ten.
    """
    _, level = _LOOKS[min(found.runs, 4)]
    limit = level / max(math.sqrt(tests), tests / math.sqrt(_MANY))
    return found.probability < limit and found.probability_if_allowed > limit


def _by_tolerance(case: Case, rule: Rule) -> Judgement:
    outcome, reason = case.by_tolerance.outcome, case.by_tolerance.reason
    if missing := case.noise.missing + (not case.reference):
        reason += (
            f"; the noise is unknown until {rule.branch} has {count(missing, 'more run')}, which `calibrate` makes"
        )
    return Judgement(outcome, reason, better=outcome in HOLDS)


def _caveat(case: Case) -> str:
    """The reason why the figures do not hold, or ""."""
    noise = case.noise
    if noise.is_exceeded_by(finite(case.values)):
        return "the runs of this commit differ far more than those of the reference: look for one that failed"
    if noise.odd is not None:
        return f"one run has {noise.odd:.6g}, far from the others: the noise may be smaller without it"
    if noise.sd <= noise.resolution:
        return "the runs hardly differ: the metric's smallest step stands for the noise"
    return ""


def finite(values: Sequence[float]) -> list[float]:
    """The values without NaN and infinities."""
    return [value for value in values if math.isfinite(value)]
