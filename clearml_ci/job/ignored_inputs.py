"""The inputs that a policy overrides; the job names them, because they have no effect."""

from collections.abc import Mapping

from clearml_ci.parameters import catalogue, check
from clearml_ci.parameters.job_environment import Given
from clearml_ci.policy import schema

_DEFAULTS = {
    f"run_{key}": str(value).lower() for key, value in schema.defaults(schema.REMOTE_RUN).items()
} | check.NOTHING.to_arguments()


def notes(given: Given, *, policy: str, own: Mapping[str, str], governed: Mapping[str, str]) -> tuple[str, ...]:
    """A line that names the inputs, or none. An input that holds anyway, or by default, is not counted.

    `policy` names its file, `own` are the `Args` by the job's inputs alone, and `governed` those that the run gets.
    """
    ignored = [
        name
        for parameter in catalogue.PARAMETERS
        for variable, name in zip(parameter.variables, parameter.inputs, strict=True)
        if variable in given.variables and _differs(parameter.name, own, governed)
    ]
    return (f"the policy {policy} decides, and these inputs are ignored: {', '.join(ignored)}",) if ignored else ()


def _differs(argument: str, own: Mapping[str, str], governed: Mapping[str, str]) -> bool:
    """Words are compared, because lists are written in one line or in several."""
    if argument not in own or argument not in governed:
        return False
    return own[argument].split() not in (governed[argument].split(), _DEFAULTS.get(argument, "").split())
