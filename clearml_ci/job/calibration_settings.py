"""The settings of a calibration: those of the checks, and a training of the default branch's head."""

from collections.abc import Mapping
from dataclasses import dataclass

from clearml_ci.core.errors import UsageError
from clearml_ci.job import settings
from clearml_ci.parameters import audit, check, job_environment, remote_run, run_arguments
from clearml_ci.parameters.audit import Home
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.remote_run import RemoteRun
from clearml_ci.policy.policy_file import Policy

FEWEST, DEFAULT, MOST = 2, 10, 100  # runs; ten fill the reference


@dataclass(frozen=True)
class CalibrationSettings:
    """The check whose gates are calibrated, of the head of the default branch, and how that is trained."""

    check: Check
    launch: RemoteRun


def number(text: str) -> int:
    """The number of runs. Raises UsageError."""
    if not text.isdecimal() or not FEWEST <= int(text) <= MOST:
        raise UsageError(f"N is {text!r}: expected the number of runs, {FEWEST} to {MOST}")
    return int(text)


def from_environment(environ: Mapping[str, str], home: Home, policy: Policy | None) -> CalibrationSettings:
    """The settings of a calibration by this environment and policy. Raises UsageError that names the variable.

    A training is described as for a check that trains its candidate, or for an audit that trains the default branch.
    """
    given = job_environment.read(environ)
    _, described = settings.remote_run(given, policy)
    called = settings.called(given, policy)
    launch = remote_run.from_arguments({**described, **audit.RETRAINING}, names=called)
    assert launch is not None  # noqa: S101  it is asked for
    settings.queues(given, launch)
    own = _check(given, home)
    governed = policy.governed(own) if policy else own
    if not governed.gates:
        raise UsageError(
            "there is no gate: name the metrics whose noise is to be known in a policy file, or one in "
            "CLEARML_SCALAR_TITLE and CLEARML_SCALAR_SERIES"
        )
    remote_run.refuse_out_of_reach(launch, project=governed.project, task_name=governed.task_name, names=called)
    return CalibrationSettings(governed, launch)


def _check(given: job_environment.Given, home: Home) -> Check:
    arguments = {**given.texts, **audit.RETRAINING}
    values = run_arguments.read(run_arguments.held_by(Check, check.PIPELINE), arguments, names=given.names)
    return Check(
        **{**values, "commit": home.recent[0]},
        pull_request=home.main,
        gates=check.gates(given.texts, names=given.names),
    )
