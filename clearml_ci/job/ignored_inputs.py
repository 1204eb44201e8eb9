"""Which inputs a policy overrules: a job that sets them must hear of it, or it waits for their effect in vain."""

from collections.abc import Mapping

from clearml_ci.parameters import check, pull_request, remote_run
from clearml_ci.policy import schema

# The variables of a job, and the Args of a run that they set.
_OF_CHECKS = {
    "CLEARML_CI_NAME": check.NAME,
    "CLEARML_PROJECT": "project",
    "CLEARML_TASK_NAME": "task_name",
    "CLEARML_SCALAR_TITLE": "scalar_title",
    "CLEARML_SCALAR_SERIES": "scalar_series",
    "CLEARML_SCALAR_MIN_MAX": "goal",
    "CLEARML_SCALAR_THRESHOLD": "threshold_percent",
    "CLEARML_BEST_TAGNAME": "best_tag",
    "CLEARML_CI_CANDIDATE": "candidate",
    "CLEARML_CI_BASELINE_MAIN": "baseline_main",
    "CLEARML_CI_INCONCLUSIVE": "inconclusive",
    "CLEARML_CI_COMMENT": "comment",
    "CLEARML_CI_PROMOTE": "promote",
}


_OF_RUNS = {
    name: argument for argument, names in remote_run.VARIABLES.items() for name in names if name not in _OF_CHECKS
}


_NOTHING_ASKED = check.Check(
    "", pull_request.PullRequest("", 0, (), ""), "", "", (), check.DEFAULT_BEST_TAG
).to_arguments()


_DEFAULTS = {
    f"run_{key}": str(value).lower() for key, value in schema.defaults(schema.REMOTE_RUN).items()
} | _NOTHING_ASKED


def notes(
    environ: Mapping[str, str], *, policy: str, asked: Mapping[str, str], governed: Mapping[str, str]
) -> tuple[str, ...]:
    """A line that names the inputs, or none. What holds without an input as well is not counted.

    `policy` says where it is from, `asked` are the `Args` that the job alone would give a run, and `governed` those
    that the run is given.
    """
    ignored = [
        variable.removeprefix("CLEARML_CI_").lower()
        for variable, argument in {**_OF_CHECKS, **_OF_RUNS}.items()
        if environ.get(variable, "").strip() and argument in governed and _differs(argument, asked, governed)
    ]
    return (f"the policy {policy} decides, and these inputs are ignored: {', '.join(ignored)}",) if ignored else ()


def _differs(argument: str, asked: Mapping[str, str], governed: Mapping[str, str]) -> bool:
    """Words are compared: lists stand one a line, or in one."""
    return asked[argument].split() not in (governed[argument].split(), _DEFAULTS.get(argument, "").split())
