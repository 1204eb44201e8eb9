"""The scenarios of `make demo`, each with its known end. The end-to-end tests play the same ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sandbox.scenarios import (
    acceptances,
    audits,
    calibrations,
    checks,
    many_gates,
    merge_queues,
    noise,
    policies,
    promotions,
    remote_runs,
    reports,
)
from sandbox.scenarios.audits import Audited
from sandbox.scenarios.story import Checked, Story

End = TypeVar("End", Checked, Audited)


@dataclass(frozen=True)
class Scenario(Generic[End]):
    """`play` runs it; the other fields are its known end.

    That is the trigger's outcome and exit code, the state of the commit's status, words that the comment must contain,
    and the number of comments: a cancelled job leaves none. A job that does not wait (`waits`) has no outcome.
    """

    play: Callable[[Story], End]
    outcome: str
    exit_code: int
    status: str
    mentions: tuple[str, ...] = ()
    comments: int = 1
    waits: bool = True


SHORT_STORY = {
    "first-model": Scenario(checks.first_model, "no_baseline", 0, "success"),
    "better": Scenario(checks.better, "improved", 0, "success"),
    "within-tolerance": Scenario(checks.within_tolerance, "passed", 0, "success"),
    "worse": Scenario(checks.worse, "regressed", 1, "failure"),
    "untested": Scenario(checks.untested, "no_evidence", 1, "failure"),
    "dirty": Scenario(checks.dirty, "no_evidence", 1, "failure", mentions=("uncommitted changes",)),
    "pushed-again": Scenario(checks.pushed_again, "passed", 0, "success"),
}
ON_AGENTS = {
    "probe-ok": Scenario(remote_runs.probe_ok, "passed", 0, "success"),
    "probe-broken": Scenario(
        remote_runs.probe_broken, "no_evidence", 1, "failure", mentions=("import", "No module named 'ray'")
    ),
    "train": Scenario(remote_runs.train, "improved", 0, "success"),
    "gpu-tests": Scenario(
        remote_runs.gpu_tests, "no_evidence", 1, "failure", mentions=("test_model_reads_four_of_five_digits",)
    ),
    "fork-unapproved": Scenario(remote_runs.fork_unapproved, "no_evidence", 1, "failure", mentions=("/run-remote",)),
    "fork-approved": Scenario(remote_runs.fork_approved, "passed", 0, "success"),
    "cancelled": Scenario(remote_runs.cancelled, "error", 4, "failure", comments=0),
    "superseded": Scenario(remote_runs.superseded, "passed", 0, "success"),
}
PROMOTIONS = {
    "merge-promotes": Scenario(promotions.merge_promotes, "passed", 0, "success", mentions=("Merged as",)),
    "merge-squash": Scenario(promotions.merge_squash, "passed", 0, "success", mentions=("Merged as",)),
    "merge-not-better": Scenario(promotions.merge_not_better, "passed", 0, "success", mentions=("the tag stays",)),
    "promote-twice": Scenario(promotions.promote_twice, "passed", 0, "success", mentions=("Merged as",)),
    "rollback": Scenario(promotions.rollback, "passed", 0, "success", mentions=("Rolled back", "is back on")),
    "rerun-edited": Scenario(promotions.rerun_edited, "passed", 0, "success", mentions=("threshold_percent 3 → 50",)),
}
NOISE = {
    "noise-unchanged": Scenario(noise.unchanged, "passed", 0, "success", mentions=("with 1 run against 6 of main",)),
    "noise-lucky": Scenario(noise.lucky, "regressed", 1, "failure", mentions=("with 3 runs against 6 of main",)),
    "noise-regressed": Scenario(
        noise.regressed, "regressed", 1, "failure", mentions=("against 6 of main", "Runs of this commit (", " repeats)")
    ),
    "reference-renewed": Scenario(
        noise.renewed, "passed", 0, "success", mentions=("Merged as", "the reference begins anew")
    ),
    "calibrate": Scenario(calibrations.calibrate, "passed", 0, "success", mentions=("with 1 run against 5 of main",)),
}
MANY_GATES = {
    "slices": Scenario(
        many_gates.slices,
        "regressed",
        1,
        "failure",
        mentions=("per class/digit 2", "10 slices, 3 regressed", "more hold"),
    ),
    "same-checkpoint": Scenario(
        many_gates.same_checkpoint,
        "regressed",
        1,
        "failure",
        mentions=("With each metric at its own iteration, the outcome would be passed, not regressed",),
    ),
}
ACCEPTED = {
    "accepted": Scenario(
        acceptances.accepted, "accepted", 0, "success", mentions=("accepted by maya: the new digits are harder",)
    ),
    "accepted-ended": Scenario(acceptances.ended, "regressed", 1, "failure", mentions=("/accept-regression",)),
}
MERGE_QUEUES = {
    "merge-queue": Scenario(merge_queues.carried, "improved", 0, "success", comments=0),
    "merge-queue-trained": Scenario(merge_queues.trained, "improved", 0, "success", comments=0),
}
POLICIES = {
    "policy-change": Scenario(
        policies.change, "passed", 0, "success", mentions=("backtest of the changed policy", "| red"), comments=2
    ),
}
REPORTS = {
    "multi-metric": Scenario(
        reports.multi_metric, "passed", 0, "success", mentions=("accuracy/validation", "loss/train", "advisory)")
    ),
    "not-alike": Scenario(
        reports.not_alike, "inconclusive", 3, "failure", mentions=("Args/dataset_share is 0.25, was 1.0",)
    ),
    "zero-baseline": Scenario(reports.zero_baseline, "passed", 0, "success", mentions=("data/skipped images",)),
    "huge": Scenario(reports.huge, "improved", 0, "success", mentions=("this commit's task (2000)",)),
    "no-token": Scenario(reports.no_token, "improved", 0, "success"),
    "app-token": Scenario(reports.app_token, "improved", 0, "success"),
    "detached": Scenario(reports.detached, "regressed", 0, "failure", waits=False),
}
# `make demo ALL=1` runs these after the short story.
FURTHER = {**ON_AGENTS, **PROMOTIONS, **NOISE, **MANY_GATES, **ACCEPTED, **MERGE_QUEUES, **POLICIES, **REPORTS}
EVERY = {**SHORT_STORY, **FURTHER}
# These audit the whole repository, and come last.
AUDITS = {
    "audit-green": Scenario(audits.green, "passed", 0, "", comments=0),
    "audit-findings": Scenario(
        audits.findings_and_repair,
        "regressed",
        1,
        "",
        mentions=("several baselines", "archived baseline", "leftover", "unmarked leftover", "no workers"),
    ),
    "scheduled-audit": Scenario(audits.scheduled, "passed", 0, "", comments=0, waits=False),
    # It leaves a worse model on main.
    "audit-drift": Scenario(audits.drift, "regressed", 1, "", mentions=("merge of the drift", "worse by")),
}
