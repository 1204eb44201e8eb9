import pytest

from clearml_ci.clearml_api.pipeline_runs import Run
from clearml_ci.job import start
from tests.unit.drawing import AUDIT, CHECK

TRAIN = {"run_until": "completion", "candidate": "train", "run_script": "train.py"}


@pytest.mark.parametrize(
    ("pipeline", "arguments", "seconds"),
    [
        pytest.param("pr_check", {**CHECK.to_arguments()}, 1800, id="nothing is launched"),
        pytest.param("pr_check", {**CHECK.to_arguments(), **TRAIN}, 19_500, id="a training"),
        pytest.param("promote", {}, 1800, id="a promotion"),
        pytest.param("audit", {**AUDIT.to_arguments(), "run_until": "first-iteration"}, 2100, id="a probe"),
        pytest.param("audit", {**AUDIT.to_arguments(), "retrain": "2", "run_until": "off"}, 57_900, id="trainings"),
    ],
)
def test_deadline__of_a_rerun__leaves_time_for_what_it_launches(
    pipeline: str, arguments: dict[str, str], seconds: float
) -> None:
    run = Run("r" * 32, "", "completed", "", arguments, f"ClearML CI/owner/name/.pipelines/{pipeline}", "p", "")
    assert start.deadline(run, arguments, {}) == seconds
    assert start.deadline(run, arguments, {"CLEARML_CI_DEADLINE": "90"}) == 90
