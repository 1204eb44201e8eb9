"""Samples: the runs of one commit that measure the same thing, and what each gate reads from them."""

import hashlib
import math
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, islice

from clearml_ci.core import comparability, noise, recorded_task
from clearml_ci.core.comparability import Inputs, MatchRules
from clearml_ci.core.gate import Gate, Reported, can_be_trusted, value_of
from clearml_ci.core.noise import Noise
from clearml_ci.core.recorded_task import RecordedTask

_LARGEST = 1e100  # a metric that is larger has diverged, and its square is no number
_ARCHIVED = "archived"  # no secret: a user may archive all runs but the luckiest
_SEEDS = ("seed", "random_seed", "random_state")  # the last part of a hyperparameter's name


@dataclass(frozen=True)
class Run:
    """A task, its inputs and what it reported; `doubt` is the reason of `continued_task` why it is no evidence."""

    task: RecordedTask
    inputs: Inputs
    reported: Reported
    doubt: str = ""

    @cached_property
    def all_reported(self) -> str:
        """All that it reported, as one text that two runs share if they reported the same."""
        return hashlib.sha256(repr([*self.reported.values()]).encode()).hexdigest()


@dataclass(frozen=True)
class Sample:
    """The runs that count, and the clean runs of the commit that do not, each with the reason."""

    runs: tuple[Run, ...]
    others: tuple[tuple[Run, str], ...] = ()


def of_commit(subject: Run, runs: Iterable[Run], rules: MatchRules, *, seed: str = "") -> Sample:
    """The sample of the subject's commit: its clean, successful runs with the subject's inputs, in the given order.

    Runs of other scripts, which have other names, are left out. The same inputs are the same hyperparameters but the
    seed, datasets and models, and versions of the packages that `rules` name: an agent records more packages than the
    machine of a developer. `seed` is the hyperparameter that holds the seed, as `Section/name`, if it has none of the
    usual names.
    """
    counted, others = [], []
    for run in runs:
        if not _is_of_model(run, subject) or not recorded_task.is_clean_run(replace(run.task, archived=False)):
            continue
        if why := (_ARCHIVED if run.task.archived else run.doubt) or _difference(run, subject, rules, seed):
            others.append((run, why))
        else:
            counted.append(run)
    return Sample(tuple(counted), tuple(others))


def values(gate: Gate, runs: Iterable[Run], *, seed: str = "") -> list[float]:
    """The gate's value of each draw, in the given order; NaN if a run of it reported none that can be trusted.

    Runs of one commit and seed are one draw, which counts with their mean. Two draws that report the same throughout
    count once if they do not differ by their seeds: `Task.init` seeds every script with the same number. So do all
    draws of a commit if none differs: its script ignores the seed.
    """
    return of_draws(gate, draws(runs, seed=seed))


def of_draws(gate: Gate, found: Iterable[Sequence[Run]]) -> list[float]:
    """The gate's value of each draw, as those of `values`; of many gates, `draws` are found once."""
    return [statistics.fmean(_value(gate, run) for run in draw) for draw in found]


def draws(runs: Iterable[Run], *, seed: str = "") -> list[list[Run]]:
    """The runs of each draw that counts, in the given order."""
    by_seed: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for run in runs:
        seeds = _seeds(run, seed)
        by_seed[(run.task.commit, *seeds) if seeds else (run.task.commit, "", run.task.id)].append(run)
    ignoring = _ignore_seeds(found[0] for found in by_seed.values())
    kept: dict[object, list[Run]] = {}
    for (commit, *_), found in by_seed.items():
        seeds = () if commit in ignoring else _seeds(found[0], seed)
        kept.setdefault((seeds, found[0].all_reported), found)
    return [*kept.values()]


def report_the_same(runs: Sequence[Run]) -> bool:
    """True if there are several runs, and all of them reported the same throughout."""
    return len(runs) > 1 and len({run.all_reported for run in runs}) == 1


def noise_of(gate: Gate, groups: Iterable[Sequence[Run]], *, seed: str = "") -> Noise:
    """The gate's noise, pooled over groups of runs: the reference, earlier ones, commits that were calibrated.

    A run counts once, in the first group that has it. A sample for which a suspicious run asked is no such group: it
    was picked for a run that lies far off, and would make the noise a tenth too large.
    """
    return noise_of_draws(gate, draws_of_groups(groups, seed=seed))


def draws_of_groups(groups: Iterable[Sequence[Run]], *, seed: str = "") -> list[list[list[Run]]]:
    """The draws of each group of `noise_of`."""
    known: set[str] = set()
    own = []
    for group in groups:
        own.append(draws([run for run in group if run.task.id not in known], seed=seed))
        known.update(run.task.id for run in group)
    return own


def noise_of_draws(gate: Gate, groups: Iterable[Sequence[Sequence[Run]]]) -> Noise:
    """As `noise_of`, from `draws_of_groups`."""
    return noise.pooled([list(filter(math.isfinite, of_draws(gate, group))) for group in groups])


def seed_of(run: Run, name: str = "") -> str:
    """The run's seed, or "" if it recorded none; `name` as `seed` of `of_commit`."""
    return run.inputs.hyperparameters.get(seed_name(run.inputs, name), "")


def seed_name(inputs: Inputs, name: str = "") -> str:
    """The hyperparameter that holds the seed, or "" if there is none; `name` as `seed` of `of_commit`."""
    return next((found for found in sorted(inputs.hyperparameters) if _is_seed(found, name)), "")


def new_seeds(known: Iterable[str], number: int) -> list[str]:
    """So many seeds that are not known yet: the smallest ones from 1 on."""
    taken = set(known)
    return list(islice((str(seed) for seed in count(1) if str(seed) not in taken), number))


def _is_of_model(run: Run, subject: Run) -> bool:
    """True for a run of the subject's commit and name, and for a training of it that a check launched."""
    is_named_alike = run.task.name == subject.task.name or run.task.purpose == "training"
    return run.task.commit == subject.task.commit and is_named_alike


def _seeds(run: Run, name: str) -> tuple[str, ...]:
    """All seeds of a run, such as that of the data's order as well; 07 is 7."""
    found = (run.inputs.hyperparameters[key] for key in sorted(run.inputs.hyperparameters) if _is_seed(key, name))
    return tuple(str(int(seed)) if re.fullmatch(r"\s*[+-]?\d{1,30}\s*", seed) else seed for seed in found if seed)


def _ignore_seeds(draws: Iterable[Run]) -> set[str]:
    """The commits with several draws, all of which reported the same."""
    by_commit: dict[str, list[Run]] = defaultdict(list)
    for run in draws:
        by_commit[run.task.commit].append(run)
    return {commit for commit, found in by_commit.items() if report_the_same(found)}


def _is_seed(hyperparameter: str, name: str) -> bool:
    if name:
        return hyperparameter == name
    return re.split(r"[/.]", hyperparameter)[-1].replace("-", "_").lower() in _SEEDS


def _difference(run: Run, subject: Run, rules: MatchRules, seed: str) -> str:
    """`not comparable: Args/lr is 0.1, was 0.01`, or "" if both have the same inputs."""
    strict = MatchRules(("*",), rules.packages, inputs=True)
    found = comparability.differences(strict, run.inputs, subject.inputs)
    return comparability.violation(
        [other for other in found if not (other.candidate is other.baseline is None) and not _is_seed(other.name, seed)]
    )


def _value(gate: Gate, run: Run) -> float:
    summary = run.reported.get(gate)
    value = value_of(gate, summary) if summary is not None and can_be_trusted(gate, summary) else math.nan
    return value if abs(value) < _LARGEST else math.nan
