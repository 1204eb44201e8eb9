"""The inputs that a policy overrides, which have no effect, and those that it leaves open; the job names both."""

from collections.abc import Mapping

from clearml_ci.parameters import catalogue, check
from clearml_ci.parameters.check import Check
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


def left_open(given: Given, *, policy: str, decided: Check) -> tuple[str, ...]:
    """A line for each input that decides, instead of the policy, where the baseline is looked for.

    `decided` is the check as the policy has it. A pull request that changes its workflow chooses its own baseline.
    """
    return tuple(
        f"the policy {policy} has no `{key.path}`: a pull request can change the input {given.names[name].lower()}, "
        "and with it the baseline; write the key into the policy"
        for name in _PLACES
        if (key := catalogue.parameter(name).key) and given.texts[name] and not getattr(decided, name)
    )


_PLACES = ("project", "task_name")


def _differs(argument: str, own: Mapping[str, str], governed: Mapping[str, str]) -> bool:
    """Words are compared, because lists are written in one line or in several."""
    if argument not in own or argument not in governed:
        return False
    return own[argument].split() not in (governed[argument].split(), _DEFAULTS.get(argument, "").split())
