import pytest

from clearml_ci.core import recorded_task
from clearml_ci.decisions import evidence
from tests.unit.drawing import CHECK, task


@pytest.mark.parametrize("status", ["completed", "published", "closed"])
def test_choose__clean_successful_task__is_the_candidate(status: str) -> None:
    choice = evidence.choose(CHECK, [task(status=status)])
    assert choice.candidate == task(status=status)
    assert choice.rejected == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"diff": "diff --git a/x b/x"}, "has uncommitted changes", id="dirty"),
        pytest.param({"status": "failed"}, "did not succeed (status 'failed')", id="failed"),
        pytest.param({"status": "stopped"}, "did not succeed (status 'stopped')", id="aborted"),
        pytest.param({"status": "in_progress"}, "has not ended yet (status 'in_progress')", id="running"),
        pytest.param({"status": "created"}, "has not ended yet (status 'created')", id="draft"),
        pytest.param({"archived": True}, "is archived", id="archived"),
        pytest.param(
            {"repository": "https://x:secret@evil.example/owner/name"},
            "ran in another repository (https://evil.example/owner/name)",
            id="another-repository-and-no-secret",
        ),
        pytest.param(
            {"project": "ClearML CI/owner/name/.pipelines/pr_check"},
            "is a step of ClearML CI itself",
            id="clone-of-our-own-step",
        ),
        pytest.param({"purpose": "step"}, "is a step of ClearML CI itself", id="our-own-step"),
        pytest.param({"repository": ""}, "ran in another repository (none recorded)", id="no-repository"),
    ],
)
def test_choose__near_miss__is_rejected_with_its_reason(changes: dict[str, object], reason: str) -> None:
    choice = evidence.choose(CHECK, [task(**changes)])
    assert choice.candidate is None
    assert [why for _, why in choice.rejected] == [reason]
    assert reason in evidence.explain(CHECK, choice)


@pytest.mark.parametrize("name", ["promote", "audit", "pr_check"])
def test_choose__training_in_a_users_own_pipeline__is_the_candidate(name: str) -> None:
    training = task(project=f"Digits/.pipelines/{name}")
    assert evidence.choose(CHECK, [training]).candidate == training


def test_choose__another_commit__is_not_even_close() -> None:
    choice = evidence.choose(CHECK, [task(commit="b" * 40), task(commit="")])
    assert choice == evidence.Choice(None, ())
    assert evidence.explain(CHECK, choice) == (
        "no task named 'train digits' in project 'Digits' recorded a run of this commit"
    )


def test_choose__several_tasks__takes_the_first_that_fits() -> None:
    tasks = [task(id="dirty", diff="x"), task(id="newer"), task(id="older")]
    choice = evidence.choose(CHECK, tasks)
    assert choice.candidate is not None
    assert choice.candidate.id == "newer"
    assert [near.id for near, _ in choice.rejected] == ["dirty"]


def test_as_document__task_with_changes__does_not_carry_the_diff() -> None:
    assert "diff" not in recorded_task.as_document(task(diff="password = 1"))


@pytest.mark.parametrize(
    ("purpose", "reason"),
    [
        ("", "has uncommitted changes"),
        ("training", None),
        ("probe", "was launched by a check as a probe"),
        ("tests", "was launched by a check as a test run"),
    ],
)
def test_objection__task_that_a_check_launched__counts_as_training_alone(purpose: str, reason: str | None) -> None:
    """The change on a training's task is the call of Task.init that the check added."""
    assert evidence.objection(CHECK, task(diff="+Task.init()", purpose=purpose)) == reason


def test_choose__sample__has_the_older_clean_runs_and_no_more_than_asked_for() -> None:
    tasks = [task(id="dirty", diff="x"), task(id="hidden", archived=True), task(id="newest")]
    tasks += [task(id="probe", purpose="probe")]
    tasks += [task(id="b", commit="b" * 40), task(id="older"), task(id="failed", status="failed"), task(id="oldest")]
    choice = evidence.choose(CHECK, tasks, doubt=lambda one: "continued" if one.id == "older" else "", most=10)
    assert choice.candidate is not None
    assert choice.candidate.id == "newest"
    assert [(run.id, doubt) for run, doubt in choice.others] == [("hidden", ""), ("older", "continued"), ("oldest", "")]
    assert [near.id for near, _ in choice.rejected] == ["dirty", "hidden"]
    assert [run.id for run, _ in evidence.choose(CHECK, tasks, most=2).others] == ["hidden"]
    assert evidence.choose(CHECK, tasks).others == ()


def test_choose__many_tasks_of_the_commit__looks_at_a_page_of_them() -> None:
    looked_at = iter([task(id="newest"), *[task(id=str(number), status="failed") for number in range(500)]])
    assert evidence.choose(CHECK, looked_at, most=10).others == ()
    assert next(looked_at).id == "99"
