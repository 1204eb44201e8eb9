"""The JSON documents of a run: the verdict, and what it shares with the results of steps (`step_results`).

The verdict is public (`verdict_json`): a key that is added here is added to what users read.
"""

import json
from collections.abc import Sequence
from typing import Any, TypedDict

from clearml_ci.core.outcome import Outcome, State


class RunDocument(TypedDict):
    """A pipeline run."""

    id: str
    url: str


class TaskDocument(TypedDict):
    """A recorded task."""

    id: str
    name: str
    project: str
    project_id: str
    commit: str
    status: str
    url: str


class RejectedTask(TaskDocument):
    """A task of the checked commit that is no evidence, with the reason."""

    reason: str


class CommitRun(TypedDict):
    """One run of the checked commit: its seed, "" if it recorded none, and its value by the name of each gate.

    `repeat`: the check trained it, because a loss was suspicious. `reason` states why it does not count, or "".
    """

    task: TaskDocument
    seed: str
    values: dict[str, float | None]
    repeat: bool
    reason: str


class NoiseDocument(TypedDict):
    """The figures of a gate that was judged by its noise, in the metric's unit; all intervals are of 99 % at each end.

    `value` and `reference` are means of so many `runs`, each with the `margin` of its interval. `difference` is value
    minus reference, between `low` and `high`. `limit` is the worst mean that the tolerance allows, `visible` the
    smallest loss that is found in 80 % of cases, and `sd` the noise. `better`: as good as the reference, as estimated.
    `renews`: the reference begins anew if it is merged. `caveat` is the reason why the figures do not hold, or "".
    """

    value: float
    value_margin: float
    runs: int
    reference: float
    reference_margin: float
    reference_runs: int
    difference: float
    low: float
    high: float
    limit: float
    visible: float
    sd: float
    degrees_of_freedom: int
    words: str
    better: bool
    renews: bool
    caveat: str


class GateRow(TypedDict):
    """One gate and its judgement; a number is None if it does not exist or is not finite.

    `noise` is None if the tolerance around the baseline decided; `note` is a sentence about the noise, or "".
    `slice_of` is the pattern that it is a slice of, and `at` the checkpoint at which it was read; both may be "".
    """

    metric: str
    title: str
    series: str
    slice_of: str
    at: str
    goal: str
    which: str
    threshold_percent: float | None
    tolerance: float
    relative: bool
    minimum: float | None
    maximum: float | None
    required: bool
    outcome: Outcome
    reason: str
    baseline_task: str | None
    value: float | None
    baseline: float | None
    difference: float | None
    limit: float | None
    last: float | None
    main: float | None
    noise: NoiseDocument | None
    note: str


class SlicesDocument(TypedDict):
    """The slices of one pattern, of which so many are `shown` as gates; `new` are up to ten that no baseline has.

    `mean_gain` is the mean difference from the reference, or else the baseline, negative if it is worse.
    """

    pattern: str
    required: bool
    total: int
    shown: int
    regressed: int
    inconclusive: int
    held: int
    new: list[str]
    new_total: int
    mean_gain: float | None


class AcceptedDocument(TypedDict):
    """A loss of one gate that a user accepted: the judged `value`, who, why, in which comment, and when.

    It holds while the value is not worse than that one.
    """

    metric: str
    goal: str
    which: str
    value: float
    by: str
    reason: str
    comment: str
    at: str


class AcceptedEntry(TypedDict):
    """The accepted losses of a check, as the ledger records them on its run."""

    run: str
    url: str
    pull_request: int | None
    commit: str
    accepted: Sequence[AcceptedDocument]


class DifferenceDocument(TypedDict):
    """One input that differs between candidate and baseline; None: that task does not have it."""

    kind: str
    name: str
    candidate: str | None
    baseline: str | None
    matters: bool


class SubjectDocument(TypedDict):
    """The project, task or queue that a finding is about."""

    kind: str
    name: str
    url: str


class FindingDocument(TypedDict):
    """One finding or note of an audit: `said` is its message, `do` what a user can do about it."""

    kind: str
    severity: str
    where: SubjectDocument
    said: str
    do: str


# `from` is a keyword of Python, so this one cannot be a class. `to` and `from` are ids of tasks.
PromotionDocument = TypedDict(
    "PromotionDocument",
    {
        "action": str,
        "mode": str,
        "moved": bool,
        "tag": str,
        "to": str | None,
        "from": list[str],
        "pull_request": int,
        "commit": str,
        "merge_commit": str,
    },
)


class LedgerEntry(TypedDict):
    """One move of the tag, as the ledger records it; `to` and `previous` are ids of tasks."""

    run: str
    action: str
    state: str
    at: str
    tag: str
    project_id: str
    task_name: str
    to: str
    previous: Sequence[str]
    pull_request: int
    commit: str
    merge_commit: str
    reason: str
    undoes: str
    name: str


class RerunDocument(TypedDict):
    """A rerun: the user who started it and the parameters that they changed; `said` is both as one phrase."""

    by: str
    changes: list[str]
    original: str
    said: str


class AuditedDocument(TypedDict):
    """The numbers of projects and baselines that an audit looked at."""

    projects: int
    bests: int


class LaunchParts(TypedDict):
    """The part of a launch that a verdict and a result share. `phase` names the failed part, "" if none failed."""

    phase: str
    reason: str
    log_tail: list[str]
    task: TaskDocument | None
    until: str | None
    seconds: dict[str, float]


class RemoteRunDocument(LaunchParts):
    """A launch on an agent, as a verdict carries it."""

    outcome: Outcome


class VerdictDocument(TypedDict):
    """The verdict of a run. `promotion` is set for a promotion or rollback, `rerun` for a rerun.

    `told_at` is the commit whose status shows the verdict. `runs` are those of the commit that were judged together.
    `accepted` are the losses that count as accepted. `merge_group` are the pull requests of a merge queue's commit.
    """

    schema: int
    outcome: Outcome
    state: State
    exit_code: int
    exit_reason: str
    name: str
    repository: str
    pull_request: int | None
    commit: str
    told_at: str
    merge_group: list[int]
    candidate: TaskDocument | None
    runs: list[CommitRun]
    baseline: TaskDocument | None
    main_baseline: TaskDocument | None
    gates: list[GateRow]
    slices: list[SlicesDocument]
    differences: list[DifferenceDocument]
    differences_total: int
    accepted: list[AcceptedDocument]
    rejected: list[RejectedTask]
    remote_run: RemoteRunDocument | None
    warnings: list[str]
    promotion: PromotionDocument | None
    rerun: RerunDocument | None
    pipeline: RunDocument
    clearml_requests: dict[str, int]


class AuditVerdict(VerdictDocument):
    """The verdict of an audit; `audited` is None if no baseline was looked at."""

    findings: list[FindingDocument]
    audited: AuditedDocument | None


def from_json(text: str) -> Any:
    """The document that this JSON text holds, with each known `outcome` as Outcome. Raises ValueError."""
    return json.loads(text, object_hook=_with_outcome)


def _with_outcome(document: dict[str, object]) -> dict[str, object]:
    outcome = document.get("outcome")
    if isinstance(outcome, str) and outcome in _OUTCOMES:
        document["outcome"] = Outcome(outcome)
    return document


_OUTCOMES = frozenset(outcome.value for outcome in Outcome)
