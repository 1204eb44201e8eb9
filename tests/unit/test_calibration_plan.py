from dataclasses import replace

import pytest

from clearml_ci.core.recorded_task import RecordedTask
from clearml_ci.decisions import calibration_plan

TASK = RecordedTask("t", "train", "p", "p", "completed", "c" * 40, "r", "", archived=False, url="", purpose="training")


def task(status: str, *, archived: bool = False) -> RecordedTask:
    return replace(TASK, status=status, archived=archived)


def planned(*launched: tuple[str, RecordedTask]) -> dict[str, list[str]]:
    plan = calibration_plan.plan(calibration_plan.seeds(3), launched)
    kinds = {"counted": plan.counted, "live": plan.live, "drafts": plan.drafts}
    return {**{name: list(of) for name, of in kinds.items()}, "missing": list(plan.missing)}


def test_seeds__of_more_runs__begin_with_those_of_fewer() -> None:
    assert calibration_plan.seeds(5)[:3] == calibration_plan.seeds(3) == ("1", "2", "3")


def test_plan__nothing_exists__trains_every_seed() -> None:
    assert planned() == {"counted": [], "live": [], "drafts": [], "missing": ["1", "2", "3"]}


def test_plan__one_ended_and_one_runs__trains_the_rest() -> None:
    found = planned(("1", task("completed")), ("2", task("in_progress")), ("9", task("completed")))
    assert found == {"counted": ["1"], "live": ["2"], "drafts": [], "missing": ["3"]}


def test_plan__draft_of_an_interrupted_launch__is_not_made_again() -> None:
    assert planned(("2", task("created"))) == {"counted": [], "live": [], "drafts": ["2"], "missing": ["1", "3"]}


@pytest.mark.parametrize("no_run", [task("failed"), task("stopped"), task("completed", archived=True)])
def test_plan__run_that_does_not_count__is_trained_again(no_run: RecordedTask) -> None:
    assert planned(("1", no_run))["missing"] == ["1", "2", "3"]


def test_plan__several_tasks_of_a_seed__takes_the_one_that_is_furthest() -> None:
    found = planned(("1", task("created")), ("1", task("queued")), ("1", task("completed")), ("2", task("created")))
    assert found == {"counted": ["1"], "live": [], "drafts": ["2"], "missing": ["3"]}
