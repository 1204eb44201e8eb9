from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from clearml_ci.core.gate import Gate, Judgement, doubted
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions import continued_task, evidence
from clearml_ci.decisions import verdict as verdicts
from tests.unit.drawing import CHECK, RUN, as_read, steps, task

COMMITTED = datetime(2026, 1, 2, 12, 0, tzinfo=timezone.utc)


def started(seconds: float) -> str:
    return (COMMITTED + timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize(
    ("at", "starts", "committed"),
    [
        pytest.param(started(60), 1, COMMITTED, id="after-its-commit"),
        pytest.param(started(-299), 1, COMMITTED, id="within-the-skew-of-two-clocks"),
        pytest.param(started(-9999), 1, None, id="commit-without-a-date"),
        pytest.param(started(60), None, COMMITTED, id="long-console-and-a-date"),
        pytest.param("", 0, COMMITTED, id="imported-without-a-start"),
        pytest.param("2026-01-02T12:01:00Z", 1, COMMITTED, id="with-a-z"),
        pytest.param("2026-01-02T12:01:00", 1, COMMITTED, id="without-a-time-zone"),
    ],
)
def test_doubt__own_run_of_its_commit__is_none(at: str, starts: int | None, committed: datetime | None) -> None:
    assert continued_task.doubt(task(started=at), committed=committed, starts=starts) == ""


@pytest.mark.parametrize(
    ("at", "starts", "committed", "why"),
    [
        pytest.param(
            started(-301), 1, COMMITTED, "started before its commit aaaaaaaaaa was made", id="before-its-commit"
        ),
        pytest.param(started(60), 2, COMMITTED, "was continued", id="another-branch-of-older-commits"),
        pytest.param(started(60), 2, None, "was continued", id="without-github"),
        pytest.param(started(60), None, None, "may have been continued", id="neither-date-nor-console"),
    ],
)
def test_doubt__continued_task__is_a_sentence(
    at: str, starts: int | None, committed: datetime | None, why: str
) -> None:
    found = continued_task.doubt(task(started=at), committed=committed, starts=starts)
    assert why in found
    assert task().id in found
    assert "without `continue_last_task`" in found


def test_doubt__training_that_a_check_launched__is_none() -> None:
    assert continued_task.doubt(task(purpose="training", started=started(-9999)), committed=COMMITTED, starts=9) == ""


def test_choose__doubtful_newer_task__takes_the_sound_one() -> None:
    tasks = [task(id="doubtful"), task(id="sound")]
    choice = evidence.choose(CHECK, tasks, doubt=lambda one: "it was continued" if one.id == "doubtful" else "")
    assert choice.candidate is not None
    assert (choice.candidate.id, choice.doubt) == ("sound", "")


def test_choose__doubtful_task_alone__is_the_candidate_with_its_doubt() -> None:
    choice = evidence.choose(CHECK, [task()], doubt=lambda _: "it was continued")
    assert (choice.candidate, choice.doubt) == (task(), "it was continued")
    assert evidence.without_doubtful(choice) == evidence.Choice(None, ((task(), "it was continued"),))


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.IMPROVED, Outcome.NO_BASELINE])
def test_doubted__gate_that_holds__is_inconclusive(outcome: Outcome) -> None:
    judged = doubted(Judgement(outcome, "holds"), "it was continued")
    assert (judged.outcome, judged.reason) == (Outcome.INCONCLUSIVE, "it was continued")


@pytest.mark.parametrize("outcome", [Outcome.REGRESSED, Outcome.ERROR, Outcome.INCONCLUSIVE])
def test_doubted__gate_that_fails__stays(outcome: Outcome) -> None:
    assert doubted(Judgement(outcome, "why"), "it was continued") == Judgement(outcome, "why")


@pytest.mark.parametrize("gates", [CHECK.gates, ()], ids=["compared", "nothing-compared"])
def test_verdict__doubtful_candidate__is_inconclusive(gates: tuple[Gate, ...]) -> None:
    of_run = steps()
    of_run["find_task"]["result"]["doubt"] = "it was continued"
    document = verdicts.for_check(replace(CHECK, gates=gates), run=RUN, steps=as_read(of_run))
    assert (document["outcome"], document["exit_code"]) == ("inconclusive", 3)
    assert document["exit_reason"] == "it was continued"
