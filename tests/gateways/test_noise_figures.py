"""What `validate` tells of the noise: from the tagged tasks of a ClearML server, or why it does not."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from clearml_ci.core.comparability import MatchRules
from clearml_ci.job import known_noise
from clearml_ci.operations import noise_figures
from tests.clock import fast_clock
from tests.gateways.test_noise import BEST, CHECK, GATE, REFERENCE, SPREAD, World, world  # noqa: F401  a fixture

ROOT = Path(__file__).parents[2]
CALIBRATED = "Best: calibration"
POLICY = """\
version: 1
project: {project}
baselines: {{tag: Best}}
gates:
  - metric: accuracy/validation
    max_regression: 0.5%
"""


def test_read__reference_of_ten_runs__has_its_noise_and_what_would_hold(world: World) -> None:  # noqa: F811
    world.reference(*SPREAD)
    check = replace(CHECK, project=world.project.name)
    before = world.clearml.requests
    (found,) = noise_figures.read(world.clearml, check)["train"]
    assert world.clearml.requests - before == 3  # the project's id, the tagged tasks, their inputs
    assert (found.runs, found.noise.df) == (10, 9)
    assert found.mean == pytest.approx(0.95)
    assert found.noise.sd == pytest.approx(0.0075, abs=5e-5)
    assert "the tolerance of 0.5 % lies below the noise" in found.notes[0]


def test_read__calibrated_commit__joins_the_noise_and_not_the_reference(world: World) -> None:  # noqa: F811
    world.reference(*SPREAD[:3])
    for seed, value in enumerate(SPREAD):
        world.trained(value - 0.2, seed=seed, commit="a" * 40, tags=[CALIBRATED])
    (found,) = noise_figures.read(world.clearml, replace(CHECK, project=world.project.name))["train"]
    assert (found.runs, found.noise.df) == (3, 11)
    world.trained(0.95)
    noise = world.check()["gates"][0]["noise"]
    assert (noise["reference_runs"], noise["degrees_of_freedom"]) == (3, 11)


def test_read__calibration_of_other_inputs__counts_unless_the_policy_calls_them_different(
    world: World,  # noqa: F811
) -> None:
    world.reference(*SPREAD[:5], lr="2")
    for seed, value in enumerate(SPREAD):
        world.trained(value, seed=seed, commit="a" * 40, tags=[CALIBRATED], lr="1")
    world.trained(0.95, lr="2")
    strict = MatchRules(hyperparameters=("Args/lr",))
    for alike, df in ((MatchRules(), 13), (strict, 4)):
        check = replace(CHECK, project=world.project.name, alike=alike)
        assert noise_figures.read(world.clearml, check)["train"][0].noise.df == df
        assert world.check(alike=alike)["gates"][0]["noise"]["degrees_of_freedom"] == df


def test_read__two_models__are_told_apart(world: World) -> None:  # noqa: F811
    world.reference(*SPREAD[:2])
    world.trained(0.5, tags=[REFERENCE], name="other")
    found = noise_figures.read(world.clearml, replace(CHECK, project=world.project.name))
    assert {name: figures[0].runs for name, figures in found.items()} == {"other": 1, "train": 2}


def validate(world: World, tmp_path: Path, **environ: str) -> tuple[int, str]:  # noqa: F811
    (tmp_path / "policy.yml").write_text(POLICY.format(project=world.project.name))
    done = subprocess.run(
        [sys.executable, str(ROOT / "ci_trigger.py"), "validate", "policy.yml"],
        cwd=tmp_path,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_validate__project_with_a_reference__tells_its_noise(world: World, tmp_path: Path) -> None:  # noqa: F811
    world.reference(*SPREAD)
    code, text = validate(world, tmp_path)
    _, _, told = text.partition("noise of train in ")
    name, _, row, *more = told.splitlines()
    assert (code, name) == (0, f"{world.project.name}:")
    assert row.split()[:5] == ["accuracy/validation", "10", "0.9500", "0.0075", "9"]
    assert "would hold" in more[-1]


def test_validate__project_without_a_reference__says_how_many_runs_are_missing(
    world: World,  # noqa: F811
    tmp_path: Path,
) -> None:
    code, text = validate(world, tmp_path)
    assert (code, "until main has 5 more runs, which `calibrate` makes" in text) == (0, True)


def test_validate__no_keys_or_no_answer__says_in_one_line_that_the_noise_was_not_looked_at(
    world: World,  # noqa: F811
    tmp_path: Path,
) -> None:
    for environ, reason in (
        ({"CLEARML_API_ACCESS_KEY": ""}, "no ClearML keys are set"),
        (
            {"CLEARML_API_HOST": "http://127.0.0.1:9"},
            "projects.get_all: no ClearML server answers at http://127.0.0.1:9",
        ),
    ):
        code, text = validate(world, tmp_path, **environ)
        last = text.splitlines()[-1]
        assert code == 0
        assert last.startswith(f"noise: not looked at, because {reason}"), text


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"gates": ()}, "the policy has no gate"), ({"project": ""}, "the policy names no `project`")],
    ids=["no gate", "no project"],
)
def test_lines__policy_without_it__says_why(
    changes: dict[str, object], reason: str, user_environment: dict[str, str]
) -> None:
    assert user_environment
    check = replace(CHECK, project="p", gates=(GATE,), best_tag=BEST)
    assert known_noise.lines(replace(check, **changes), fast_clock()) == [  # type: ignore[arg-type]
        f"noise: not looked at, because {reason}"
    ]
