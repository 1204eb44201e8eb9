"""The results of the steps: JSON that each stores on its own ClearML task, and that later steps and the job read."""

from collections.abc import Mapping
from typing import TypedDict, cast

from clearml_ci.core.documents import (
    AcceptedDocument,
    CommitRun,
    DifferenceDocument,
    FindingDocument,
    GateRow,
    LaunchParts,
    PromotionDocument,
    RejectedTask,
    SlicesDocument,
    TaskDocument,
    VerdictDocument,
)
from clearml_ci.core.outcome import LaunchState, Outcome


class StepResult(TypedDict, total=False):
    """The keys that the result of every step may have. With a `fault`, all other keys may be missing.

    `refused`: the fault is a reason that the step found, such as a wrong parameter, and not its own failure.
    """

    fault: str
    refused: bool
    requests: int


class OtherRun(TypedDict):
    """A further clean run of the candidate's commit, by its id; `doubt` as that of the candidate."""

    id: str
    doubt: str


class FindTaskResult(StepResult):
    """The candidate, or the `reason` why there is none. `main_baseline`: the id of the base branch's own task.

    `doubt` is the reason why the candidate's values decide nothing, empty if they do. `runs` are the older clean runs
    of its commit, newest first.
    """

    candidate: TaskDocument | None
    reason: str
    doubt: str
    rejected: list[RejectedTask]
    runs: list[OtherRun]
    main_baseline: str | None
    notes: list[str]


class _Compared(StepResult, total=False):
    baseline: TaskDocument | None
    main_baseline: TaskDocument | None
    gates: list[GateRow]
    slices: list[SlicesDocument]
    differences: list[DifferenceDocument]
    differences_total: int
    runs: list[CommitRun]
    accepted: list[AcceptedDocument]
    warnings: list[str]
    notes: list[str]


class CompareResult(_Compared):
    """The comparison of the candidate with the baseline; without a candidate, `outcome` is None."""

    outcome: Outcome | None
    reason: str


class LaunchDocument(StepResult, LaunchParts):
    """A launch on an agent, or why there was none."""

    outcome: LaunchState
    notes: list[str]


class RemoteRunResult(LaunchDocument):
    """The launch of the pull request's commit; `candidate` is the task of a training that is to be judged."""

    candidate: TaskDocument | None


class _Promoted(_Compared, total=False):
    candidate: TaskDocument | None
    promotion: PromotionDocument


class PromoteResult(_Promoted):
    """A promotion judges the candidate once more: its result also has the keys of a comparison."""

    outcome: Outcome
    reason: str


class BaselinesResult(StepResult):
    """The findings about baselines; `unseen`: what could not be looked at."""

    findings: list[FindingDocument]
    projects: int
    bests: int
    notes: list[str]
    unseen: list[str]


class LeftoversResult(StepResult):
    """Leftovers, queues and templates."""

    findings: list[FindingDocument]
    notes: list[str]


class StaleChecksResult(StepResult):
    """Statuses and check runs that no run will finish."""

    findings: list[FindingDocument]
    notes: list[str]
    unseen: list[str]


class MainLaunchDocument(LaunchDocument):
    """A launch of the default branch's head."""

    commit: str


class ProbeResult(MainLaunchDocument):
    """The probe of the default branch's head."""

    findings: list[FindingDocument]


class RetrainResult(StepResult):
    """`tasks` are the trainings."""

    tasks: list[TaskDocument]
    findings: list[FindingDocument]
    notes: list[str]
    unseen: list[str]


class Posted(StepResult):
    """The parts of a report that reached GitHub; `warnings` name those that it refused.

    `commented` is also true if there is no comment to write.
    """

    posted: bool
    comment_url: str
    commented: bool
    status_set: bool
    warnings: list[str]


class ReportResult(Posted):
    """`markdown` is the comment or issue, which the job posts if the step could not."""

    verdict: VerdictDocument
    markdown: str


class StepResults(TypedDict):
    """The results of all steps, by their names."""

    find_task: FindTaskResult
    compare: CompareResult
    remote_run: RemoteRunResult
    promote: PromoteResult
    report: ReportResult
    audit_baselines: BaselinesResult
    audit_leftovers: LeftoversResult
    audit_stale_checks: StaleChecksResult
    audit_probe: ProbeResult
    audit_retrain: RetrainResult
    audit_bisect: RetrainResult
    audit_report: ReportResult


REPORTS = ("report", "audit_report")  # the step that reports, of checks and promotions, and of audits


NAMES = tuple(StepResults.__annotations__)  # of the steps


class StepDocument(TypedDict, total=False):
    """A step of a run: its ClearML status, and its result if it left one; both are missing if it never started."""

    status: str
    result: StepResult | None


def candidate(results: StepResults) -> TaskDocument | None:
    """The task that a check judges: the one that was found, or else trained."""
    return results["find_task"].get("candidate") or results["remote_run"].get("candidate")


def by_name(results: Mapping[str, StepResult | None]) -> StepResults:
    """Results, as they were read, with their types.

    That of a step that left none is empty, and after a fault keys are missing: read both with `get`.
    """
    return cast(StepResults, {name: results.get(name) or {} for name in NAMES})
