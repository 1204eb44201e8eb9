"""The parameters in the environment of a job: a workflow's inputs, or the variables of a shell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clearml_ci.parameters import catalogue
from clearml_ci.parameters.parameter import Parameter


@dataclass(frozen=True)
class Given:
    """The texts of all parameters that have a variable, by name, empty if it is not set; nothing is checked.

    `names` are the variables that set them, for messages, and `variables` all that are set.
    """

    texts: Mapping[str, str]
    names: Mapping[str, str]
    variables: frozenset[str]

    def value(self, name: str) -> Any:
        """The value of a parameter, its default if it is not set. Raises UsageError that names the variable."""
        return catalogue.parameter(name).value(self.texts[name], self.names[name])


def read(environ: Mapping[str, str]) -> Given:
    """The parameters that a job's environment gives."""
    parameters = [parameter for parameter in catalogue.PARAMETERS if parameter.variables]
    texts = {variable: environ.get(variable, "").strip() for each in parameters for variable in each.variables}
    names = {parameter.name: _variable(parameter, texts) for parameter in parameters}
    return Given(
        texts={name: texts[variable] for name, variable in names.items()},
        names=names,
        variables=frozenset(variable for variable, text in texts.items() if text),
    )


def _variable(parameter: Parameter, texts: Mapping[str, str]) -> str:
    """The variable that sets a parameter, or else the one that sets its fallback."""
    fallback = catalogue.parameter(parameter.fallback).variables if parameter.fallback else ()
    variables = (*parameter.variables, *fallback)
    return next((variable for variable in variables if texts[variable]), variables[0])
