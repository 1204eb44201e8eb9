"""Simulated checks of a repository whose trainings are noisy, under our rule and under others.

Each simulation gets `draw`, which returns the metric of one more training of code that nothing has changed.
"""

import statistics
from collections.abc import Callable, Sequence

from clearml_ci.core import gate, noise, student
from clearml_ci.core.comparability import NO_RULES, Inputs
from clearml_ci.core.gate import Gate, Summary
from clearml_ci.core.noise import Noise
from clearml_ci.core.outcome import Outcome
from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import noise_rule, reference, samples
from clearml_ci.decisions.noise_rule import Case, Judgement, Rule
from clearml_ci.decisions.reference import Reference
from clearml_ci.decisions.samples import Run

GATE = Gate("accuracy", "validation")  # allows no loss


Draw = Callable[[], float]


UNUSED = gate.Judgement(Outcome.ERROR, "the noise is known, so the plain tolerance decides nothing")


class Repository:
    """A repository with our rule: its default branch, and the reference with which its pull requests are compared.

    It starts with ten trainings of its head, as `calibrate` makes them.
    """

    def __init__(self, draw: Draw, rule: Rule) -> None:
        self.draw, self.rule = draw, rule
        self.trained = 0
        self.trainings = self._runs([draw() for _ in range(reference.FULL)])
        self._refer_to(Reference(tuple(self.trainings)))

    def check(self, loss: float) -> tuple[list[float], Judgement]:
        """The values and the judgement of a change that loses so much, after all trainings that the rule asks for."""
        values = [self.draw() - loss]
        while (judged := judge(values, self.values, self.noise, self.rule)).more:
            values += [self.draw() - loss for _ in range(judged.more)]
        return values, judged

    def merge(self) -> None:
        """Check a change that does nothing, and merge it if it is not red."""
        values, judged = self.check(0.0)
        if judged.outcome == Outcome.REGRESSED:
            return
        merged, _ = reference.after(self.reference, self._runs(values), [judged], NO_RULES)
        if merged != self.reference:
            self._refer_to(merged)

    def _refer_to(self, of: Reference) -> None:
        self.reference = of
        self.values = samples.values(GATE, of.in_force)
        self.noise = samples.noise_of(GATE, [of.runs, of.earlier, self.trainings])

    def _runs(self, values: Sequence[float]) -> list[Run]:
        """The runs of one more commit, each with a seed of its own."""
        first, self.trained = self.trained, self.trained + len(values)
        return [_run(f"{first}", f"{first + number}", value) for number, value in enumerate(values)]


def judge(
    values: Sequence[float], reference: Sequence[float], noise: Noise, rule: Rule, gate: Gate = GATE
) -> Judgement:
    """The product's judgement of one gate whose noise is known."""
    return noise_rule.judge([Case(gate, UNUSED, values, reference, noise)], rule)[0]


def best_ever(draw: Draw, *, merges: int, loss: float, percent: float) -> bool:
    """True if the predecessors' rule is red: the tagged baseline is the luckiest run so far, less a tolerance."""
    best = max(draw() for _ in range(1 + merges))
    return draw() - loss < best * (1 - percent / 100)


def bencher_t(draw: Draw, *, merges: int, loss: float) -> bool:
    """True if Bencher's t-test threshold is red, with a lower boundary of 0.99 and all runs of the default branch.

    https://bencher.dev/docs/explanation/thresholds/#t-test-threshold
    """
    history = [draw() for _ in range(1 + merges)]
    if len(history) < 2:
        return False
    below = student.quantile(0.99, len(history) - 1) * statistics.stdev(history)
    return draw() - loss < statistics.fmean(history) - below


def calibrated(draw: Draw) -> tuple[list[float], Noise]:
    """A full reference and its noise."""
    values = [draw() for _ in range(reference.FULL)]
    return values, noise.pooled([values])


def _run(commit: str, number: str, value: float) -> Run:
    task = RecordedTask(number, "train", "p", "p", "completed", commit, "r", "", archived=False, url="")
    summary = Summary(GATE.title, GATE.series, value, value, value)
    return Run(task, Inputs({"Args/seed": number}, {}, {}), {GATE: summary})
