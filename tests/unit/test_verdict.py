from dataclasses import replace
from typing import Any

import pytest

from clearml_ci.core import recorded_task
from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import promotion, verdict
from tests.unit.drawing import CHECK, RUN, TASK, as_read, steps


def compose(found: dict[str, Any]) -> VerdictDocument:
    return verdict.for_check(CHECK, run=RUN, steps=found)


@pytest.mark.parametrize("outcome", [*Outcome])
def test_for_check__gate_judged__its_outcome_is_the_verdict(outcome: str) -> None:
    document = compose(steps(outcome))
    assert (document["outcome"], document["exit_reason"]) == (outcome, "why")
    assert (document["schema"], document["commit"], document["pull_request"]) == (1, CHECK.commit, 7)
    assert document["gates"][0]["metric"] == "accuracy/validation"


def test_for_check__name_of_the_check__is_that_of_every_verdict_about_it() -> None:
    named = replace(CHECK, name="digits")
    assert verdict.for_check(named, run=RUN, steps=steps())["name"] == "digits"
    assert verdict.error(named, run=RUN, reason="broken")["name"] == "digits"


def test_for_check__no_candidate__is_no_evidence_whatever_compare_says() -> None:
    none = {"status": "completed", "result": {"candidate": None, "reason": "no task ran it", "rejected": []}}
    document = compose(steps("passed", find_task=none))
    assert (document["outcome"], document["exit_reason"]) == ("no_evidence", "no task ran it")


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        pytest.param(
            {"find_task": {"status": "failed", "result": None}},
            "step find_task left no result (status 'failed'): read its console in ClearML, and rerun",
            id="failed",
        ),
        pytest.param({"compare": {"status": "stopped", "result": None}}, "(status 'stopped')", id="aborted"),
        pytest.param({"compare": {}}, "(status 'never started')", id="never-started"),
        pytest.param(
            {"find_task": {"status": "failed", "result": {"fault": "no project 'x'"}}},
            "step find_task: no project 'x'",
            id="fault",
        ),
    ],
)
def test_for_check__step_without_a_result__is_an_error_and_never_green(broken: dict[str, Any], reason: str) -> None:
    document = compose(steps("passed", **broken))
    assert document["outcome"] == "error"
    assert reason in document["exit_reason"]


def test_for_check__nothing_to_compare_configured__passes_on_evidence_alone() -> None:
    found = {"find_task": steps()["find_task"]}
    document = verdict.for_check(replace(CHECK, gates=()), run=RUN, steps=found)
    assert (document["outcome"], document["gates"]) == ("passed", [])


@pytest.mark.parametrize(
    ("outcome", "inconclusive", "shown"),
    [
        ("inconclusive", "fail", ("failure", 3)),
        ("inconclusive", "pass", ("success", 0)),
        ("regressed", "pass", ("failure", 1)),
        ("error", "pass", ("error", 4)),
        ("passed", "fail", ("success", 0)),
    ],
)
def test_for_check__policy_of_inconclusive__turns_state_and_exit_code_alone(
    outcome: str, inconclusive: str, shown: tuple[str, int]
) -> None:
    document = verdict.for_check(replace(CHECK, inconclusive=inconclusive), run=RUN, steps=steps(outcome))
    assert (document["outcome"], (document["state"], document["exit_code"])) == (outcome, shown)


def test_as_error__document_that_could_not_be_published__is_an_error_everywhere() -> None:
    document = verdict.as_error(compose(steps("passed")), "GitHub is unreachable")
    assert (document["outcome"], document["state"], document["exit_code"]) == ("error", "error", 4)
    assert (document["exit_reason"], len(document["gates"])) == ("GitHub is unreachable", 1)


def test_for_check__requests_of_the_steps__are_listed() -> None:
    found = steps()
    found["find_task"]["result"]["requests"] = 5
    assert compose(found)["clearml_requests"] == {"find_task": 5}


def test_outcomes__exit_codes_and_states__are_the_documented_ones() -> None:
    assert {str(outcome): (outcome.exit_code, outcome.state) for outcome in Outcome} == {
        "passed": (0, "success"),
        "improved": (0, "success"),
        "regressed": (1, "failure"),
        "no_evidence": (1, "failure"),
        "no_baseline": (0, "success"),
        "accepted": (0, "success"),
        "inconclusive": (3, "failure"),
        "error": (4, "error"),
    }


def test_error__run_that_could_not_judge__keeps_the_reason() -> None:
    document = verdict.error(CHECK, run=RUN, reason="cancelled")
    assert (document["outcome"], document["exit_reason"], document["pipeline"]) == ("error", "cancelled", RUN)


@pytest.mark.parametrize(
    ("status", "changes", "reason"),
    [
        ("completed", {}, None),
        ("published", {}, None),
        ("stopped", {}, "the run was aborted in ClearML (report completed): rerun it"),
        ("failed", {}, "the run ended 'failed' without a verdict (report completed): read the consoles"),
        ("completed", {"commit": "b" * 40}, f"the run reported about commit {'b' * 40}"),
        ("completed", {"pipeline": {"id": "another"}}, "the run reported about commit"),
        ("completed", {"told_at": "b" * 40}, f"the run reported about commit {'b' * 40}"),
    ],
)
def test_why_invalid__report_of_a_run__counts_only_for_this_commit_and_a_completed_run(
    status: str, changes: dict[str, Any], reason: str | None
) -> None:
    report: Any = {"verdict": {**compose(steps()), **changes}}
    reason_ = verdict.why_invalid(CHECK, run=RUN, status=status, states="report completed", report=report)
    assert (reason_ is None) if reason is None else (reason_ is not None and reason in reason_)


@pytest.mark.parametrize("report", [{}, {"fault": "no GitHub"}])
def test_why_invalid__no_verdict__is_the_reason(report: Any) -> None:
    reason_ = verdict.why_invalid(CHECK, run=RUN, status="completed", states="report failed", report=report)
    assert reason_ is not None
    assert report.get("fault", "without a verdict (report failed)") in reason_


def remote(outcome: str, *, phase: str = "", candidate: Any = None) -> Any:
    result: dict[str, Any] = {"outcome": outcome, "phase": phase, "reason": "so it is", "candidate": candidate}
    rest = {"log_tail": [], "task": candidate, "until": "completion", "seconds": {}, "notes": []}
    return as_read({"status": "completed", "result": {**result, **rest}})


PROBED = replace(CHECK, until="first-iteration")
TRAINED = replace(CHECK, candidate="train", until="completion")


@pytest.mark.parametrize(
    ("compared", "ran", "outcome"),
    [
        ("passed", "passed", "passed"),
        ("improved", "passed", "improved"),
        ("improved", "no_evidence", "no_evidence"),
        ("regressed", "passed", "regressed"),
        ("regressed", "error", "error"),
        ("inconclusive", "no_evidence", "no_evidence"),
        ("no_baseline", "passed", "no_baseline"),
        ("passed", "not_needed", "passed"),
    ],
)
def test_for_check__evidence_and_remote_run__the_worse_one_counts(compared: str, ran: str, outcome: str) -> None:
    document = verdict.for_check(PROBED, run=RUN, steps=steps(compared, remote_run=remote(ran, phase="import")))
    assert document["outcome"] == outcome
    assert (document["remote_run"] is None) == (ran == "not_needed")


def test_for_check__failed_remote_run__names_the_phase() -> None:
    document = verdict.for_check(PROBED, run=RUN, steps=steps(remote_run=remote("no_evidence", phase="import")))
    assert document["exit_reason"] == "this commit was not run on an agent (phase: import): so it is"
    assert document["remote_run"] is not None
    assert document["remote_run"]["phase"] == "import"


def test_for_check__remote_run_that_left_no_result__is_an_error() -> None:
    document = verdict.for_check(PROBED, run=RUN, steps=steps(remote_run={"status": "failed"}))
    assert document["outcome"] == "error"
    assert "step remote_run left no result" in document["exit_reason"]


def test_for_check__probe_alone__passes() -> None:
    alone = replace(CHECK, candidate="none", until="first-iteration")
    document = verdict.for_check(alone, run=RUN, steps={"remote_run": remote("passed")})
    assert (document["outcome"], document["gates"]) == ("passed", [])


def test_for_check__nothing_configured__is_an_error_and_never_green() -> None:
    document = verdict.for_check(replace(CHECK, candidate="none", gates=()), run=RUN, steps={})
    assert document["outcome"] == "error"


def test_for_check__trained_candidate__is_the_one_that_was_judged() -> None:
    task = {"id": "9" * 32, "name": "train digits", "url": "https://clearml/9"}
    document = verdict.for_check(
        TRAINED,
        run=RUN,
        steps={"compare": steps("improved")["compare"], "remote_run": remote("passed", candidate=task)},
    )
    assert (document["outcome"], document["candidate"]) == ("improved", task)


def test_for_check__training_that_failed__is_no_evidence_for_its_reason() -> None:
    document = verdict.for_check(
        TRAINED,
        run=RUN,
        steps={
            "remote_run": remote("no_evidence", phase="script"),
            "compare": as_read({"status": "completed", "result": {"outcome": None, "reason": "nothing to compare"}}),
        },
    )
    assert document["outcome"] == "no_evidence"
    assert "phase: script" in document["exit_reason"]


MERGED = replace(CHECK, action="promote", merge_commit="d" * 40)


@pytest.mark.parametrize("outcome", ["passed", "no_evidence", "inconclusive", "error"])
def test_for_check__after_a_merge__has_the_outcome_of_the_one_step(outcome: str) -> None:
    moved = promotion.as_document(MERGED, to=TASK.id, previous=["0"])
    candidate = recorded_task.as_document(TASK)
    result = {"outcome": outcome, "reason": "why", "candidate": candidate, "promotion": moved}
    promoted = as_read({"status": "completed", "result": result})
    document = verdict.for_check(MERGED, run=RUN, steps={"promote": promoted})
    assert (document["outcome"], document["exit_reason"], document["candidate"]) == (outcome, "why", candidate)
    assert (document["promotion"], document["told_at"], document["commit"]) == (moved, "d" * 40, CHECK.commit)


def test_for_check__promotion_that_left_no_result__is_an_error() -> None:
    document = verdict.for_check(MERGED, run=RUN, steps={"promote": {"status": "failed", "result": {"fault": "no"}}})
    assert (document["outcome"], document["exit_reason"]) == ("error", "step promote: no")
    assert document["promotion"] is not None
    assert (document["promotion"]["action"], document["promotion"]["moved"]) == ("promote", False)


@pytest.mark.parametrize(("moved", "outcome"), [("passed", "improved"), ("error", "error")])
def test_for_check__check_that_moves_the_tag__is_its_own_verdict_unless_that_failed(moved: str, outcome: str) -> None:
    check = replace(CHECK, promote="on-pass")
    entry = promotion.as_document(check, to=TASK.id)
    step = {"status": "completed", "result": {"outcome": moved, "reason": "tag", "promotion": entry}}
    document = verdict.for_check(check, run=RUN, steps=steps("improved", promote=step))
    assert (document["outcome"], document["promotion"]) == (outcome, entry)
