"""The reference: the runs that stand for the default branch.

It is frozen when full: small losses cannot pull it down, and luck cannot push it up.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clearml_ci.core import comparability, recorded_task
from clearml_ci.core import gate as plain
from clearml_ci.core.comparability import Inputs, MatchRules
from clearml_ci.core.gate import Gate
from clearml_ci.decisions import samples
from clearml_ci.decisions.noise_rule import Case, Judgement
from clearml_ci.decisions.samples import Run

FULL = 10  # runs


ENOUGH = 4  # runs of a reference that began with a gain, until it is compared with


@dataclass(frozen=True)
class Reference:
    """The runs of the reference in merge order, and those of `earlier`, the one before a gain.

    The noise is known from all of these, and from those of commits that were `calibrated`.

    The runs that `showed` a gain began the reference, and are not in it: they were picked for their luck, and three
    of a hundred changes that do nothing would be red. Until the reference has four runs, the earlier one is in force.
    """

    runs: tuple[Run, ...] = ()
    showed: tuple[Run, ...] = ()
    earlier: tuple[Run, ...] = ()
    calibrated: tuple[Run, ...] = ()

    @property
    def in_force(self) -> tuple[Run, ...]:
        """The runs that a candidate is compared with."""
        return self.runs if len(self.runs) >= ENOUGH or not self.earlier else self.earlier


def of_tagged(
    runs: Iterable[Run], showed: Iterable[Run] = (), earlier: Iterable[Run] = (), calibrated: Iterable[Run] = ()
) -> Reference:
    """The reference that the tagged runs make, each in merge order: people edit tags, and clones copy them."""
    first, gain, before = (tuple(filter(_counts, tagged))[:FULL] for tagged in (runs, showed, earlier))
    return Reference(first, gain, before, tuple(filter(_counts, calibrated)))


def after(
    reference: Reference,
    merged: Sequence[Run],
    judged: Sequence[Judgement],
    rules: MatchRules,
    *,
    accepted: str = "",
) -> tuple[Reference, str]:
    """The reference after a merge, and the reason why it begins anew, or "".

    `merged` is the sample of the merge, `judged` are its required gates. `accepted` states whose loss was accepted, or
    is "": the reference before it would make the next commits red. A rollback restores the reference before the merge.
    """
    in_force = reference.in_force
    if in_force and (different := why_different(in_force[0], merged[0].inputs, rules)):
        return _with(Reference(), merged), different
    if accepted:
        return _with(Reference(), merged), accepted
    began = in_force == reference.runs  # else the gain is the one that began it
    gain = next((judgement.reason for judgement in judged if judgement.renews), "")
    if began and gain and not any(judgement.may_be_worse for judgement in judged):
        return Reference(showed=tuple(filter(_counts, merged)), earlier=in_force), gain
    return _with(reference, merged), ""


def case(
    gate: Gate,
    by_tolerance: plain.Judgement,
    sample: Sequence[Run],
    reference: Reference,
    *,
    seed: str = "",
) -> Case:
    """The case of a gate, from the runs of the candidate and those that the reference knows."""
    return cases([(gate, by_tolerance)], sample, reference, seed=seed)[0]


def cases(judged: plain.Judgements, sample: Sequence[Run], reference: Reference, *, seed: str = "") -> list[Case]:
    """The cases of many gates, each with its judgement by the tolerance."""
    groups = [reference.runs, reference.earlier, *_by_commit(reference.calibrated)]
    own, in_force = samples.draws(sample, seed=seed), samples.draws(reference.in_force, seed=seed)
    of_noise = samples.draws_of_groups(groups, seed=seed)
    return [
        Case(
            gate,
            by_tolerance,
            samples.of_draws(gate, own),
            samples.of_draws(gate, in_force),
            samples.noise_of_draws(gate, of_noise),
        )
        for gate, by_tolerance in judged
    ]


def _by_commit(runs: Iterable[Run]) -> list[list[Run]]:
    found: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.task.commit].append(run)
    return list(found.values())


def _with(reference: Reference, merged: Iterable[Run]) -> Reference:
    """The reference and the merged runs, up to the number that fills it."""
    known = {run.task.id for run in (*reference.runs, *reference.showed)}
    added = [run for run in merged if _counts(run) and run.task.id not in known]
    return replace(reference, runs=(*reference.runs, *added)[:FULL])


def why_different(run: Run, inputs: Inputs, rules: MatchRules) -> str:
    """The difference between these inputs and those of the run, if the rules call it one that matters, or ""."""
    return comparability.violation(comparability.differences(rules, inputs, run.inputs))


def alike(reference: Reference, inputs: Inputs, rules: MatchRules) -> Reference:
    """The reference with those calibrated runs alone whose metrics mean the same as with these inputs."""
    calibrated = tuple(run for run in reference.calibrated if not why_different(run, inputs, rules))
    return replace(reference, calibrated=calibrated)


def _counts(run: Run) -> bool:
    return recorded_task.is_clean_run(run.task) and not run.doubt
