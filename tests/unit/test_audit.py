from dataclasses import replace

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.core.merge import Merge
from clearml_ci.parameters import audit
from clearml_ci.parameters.audit import Audit
from tests.unit.drawing import AUDIT, COMMIT, GATE

MERGES = (Merge("c" * 40, "e" * 40, 7), Merge("d" * 40))


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(AUDIT, id="as drawn"),
        pytest.param(replace(AUDIT, commit="", projects=("a", "b/*"), gates=(), clean_up=False), id="without a commit"),
        pytest.param(replace(AUDIT, longest_wait=90.5, task_name="train", retrain=3, bisect=2), id="another wait"),
        pytest.param(replace(AUDIT, name="digits"), id="name"),
        pytest.param(replace(AUDIT, waited_for=False), id="no job waits"),
        pytest.param(replace(AUDIT, home=replace(AUDIT.home, recent=("c",), merges=MERGES)), id="merges"),
    ],
)
def test_from_arguments__of_to_arguments__is_the_same_audit(given: Audit) -> None:
    assert audit.from_arguments(given.to_arguments()) == given


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        pytest.param({"commit": "abc"}, "commit is 'abc'", id="short commit"),
        pytest.param({"longest_wait": "soon"}, "longest_wait is 'soon'", id="no number"),
        pytest.param({"longest_wait": "-1"}, "longest_wait is '-1'", id="negative"),
        pytest.param({"longest_wait": "nan"}, "longest_wait is 'nan'", id="nan"),
        pytest.param({"retrain": "-1"}, "retrain is '-1'", id="negative times"),
        pytest.param({"retrain": "10"}, "retrain is '10'", id="too often"),
        pytest.param({"bisect": "some"}, "bisect is 'some'", id="no number of trainings"),
        pytest.param({"clean_up": "maybe"}, "clean_up is 'maybe'", id="neither true nor false"),
        pytest.param({"gates": "3"}, "gates", id="gates that are none"),
        pytest.param({"best_tag": "-best"}, "best_tag is '-best'", id="tag that means not"),
        pytest.param({"_context": "[]"}, "_context", id="no context"),
    ],
)
def test_from_arguments__nonsense__names_the_parameter(changes: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError) as raised:
        audit.from_arguments({**AUDIT.to_arguments(), **changes})
    assert named in str(raised.value)


def test_from_arguments__no_queues__are_the_steps_and_the_probes() -> None:
    given = {**AUDIT.to_arguments(), "queues": "", "_steps_queue": "ci-steps", "run_queue": "ci-code"}
    assert audit.from_arguments(given).queues == ("ci-steps", "ci-code")


def test_plan__probe_asked_for__runs_beside_the_others_and_is_reported() -> None:
    assert audit.plan({"run_until": "first-iteration"}) == {
        "audit_baselines": [],
        "audit_leftovers": [],
        "audit_stale_checks": [],
        "audit_probe": [],
        "audit_report": ["audit_baselines", "audit_leftovers", "audit_stale_checks", "audit_probe"],
    }
    assert list(audit.plan({"run_until": " Off ", "retrain": "2"}))[3:] == ["audit_retrain", "audit_report"]
    assert audit.plan({"run_until": "completion", "retrain": "2"})["audit_retrain"] == ["audit_probe"]
    assert audit.plan({"bisect": "2", "retrain": "2"})["audit_bisect"] == ["audit_retrain"]
    assert list(audit.plan({"retrain": "0", "bisect": "0"})) == [*audit.ALWAYS, "audit_report"]


@pytest.mark.parametrize("waited_for", [True, False])
def test_as_check__job_that_waits_or_not__is_known_to_the_step_that_reports(waited_for: bool) -> None:
    assert audit.as_check(replace(AUDIT, waited_for=waited_for)).waited_for is waited_for


def test_as_check__main__is_no_fork_and_takes_the_commit() -> None:
    check = audit.as_check(replace(AUDIT, commit=""), commit=COMMIT)
    assert (check.commit, check.gates, check.pull_request.is_fork) == (COMMIT, (GATE,), False)
    assert check.pull_request.head_url == AUDIT.home.clone_url
    assert audit.as_check(replace(AUDIT, name="digits")).name == "digits"
