"""Each of the `Args` with which a job starts a run is in the list of parameters: it has a default and a description."""

from collections.abc import Callable

import pytest

from clearml_ci.clearml_api.pipeline_runs import START_ARGUMENT
from clearml_ci.job import audit_settings, settings
from clearml_ci.job.settings import Settings
from clearml_ci.parameters import catalogue
from tests.unit import drawing
from tests.unit.test_audit_settings import HOME, POLICY
from tests.unit.test_settings import environ, event

__all__ = ["environ"]  # the fixture
Environ = dict[str, str]


def of_check(environ: Environ) -> Settings:
    return settings.from_environment({**environ, "CLEARML_CI_RUN_SCRIPT": "train.py"}, read_policy=lambda *_: POLICY)


def of_merge(environ: Environ) -> Settings:
    merged = event()
    merged["pull_request"]["merge_commit_sha"] = drawing.COMMIT
    return settings.from_environment(environ, event=merged, promotes=True)


def of_rollback(environ: Environ) -> Settings:
    home = {"GITHUB_REPOSITORY": "owner/name"}
    return settings.for_rollback({**environ, **home}, settings.from_environment(environ).check, undoes="0" * 32)


def of_audit(environ: Environ) -> Settings:
    return audit_settings.from_environment(environ, HOME, POLICY)


STARTS = [of_check, of_merge, of_rollback, of_audit]


def sent(start: Settings) -> set[str]:
    return {*start.arguments, START_ARGUMENT}


@pytest.mark.parametrize("start", STARTS, ids=lambda start: str(start.__name__))
def test_start__args__are_in_the_list_of_parameters(start: Callable[[Environ], Settings], environ: Environ) -> None:
    made = start(environ)
    assert sent(made) <= {parameter.name for parameter in catalogue.of_pipeline(made.pipeline)}


def test_starts__hidden_args__are_those_of_the_list(environ: Environ) -> None:
    listed = {parameter.name for parameter in catalogue.PARAMETERS if parameter.pipelines}
    all_sent = {name for start in STARTS for name in sent(start(environ))}
    assert {name for name in all_sent if name.startswith("_")} == {name for name in listed if name.startswith("_")}
