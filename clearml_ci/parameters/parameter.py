"""The attributes of a parameter in the list of parameters."""

from dataclasses import dataclass
from typing import Any

from clearml_ci.parameters.forms import Form

PREFIX = "CLEARML_CI_"  # of the variables; an input is the rest, in lower case


@dataclass(frozen=True)
class Key:
    """The key of a policy file that sets a parameter, such as `baselines.tag`.

    An absent key has the value `default`, or else the parameter's own. `absent` states in words what holds if the
    default alone does not. If an absent key is `open`, the job's input decides. `help` replaces the parameter's.
    """

    path: str
    default: Any = None
    absent: str = ""
    open: bool = False
    help: str = ""


@dataclass(frozen=True)
class Parameter:
    """One parameter. `name` is that of its Arg in the runs of `pipelines`; the New run dialog hides a leading `_`.

    `help` is for a data scientist: ClearML, action.yml and the documentation show it, in the `group` of its kind.
    `default` is a text as in the Args, and `absent` states in words what holds without a value if the default alone
    does not. The Args of a new run show the default, or `shown`. `form` is None if a module reads the text itself,
    together with others. `variables` are those of a job, the first one ours, the others of ClearML's earlier actions;
    if none of them is set, the parameter `fallback` is taken. `often` puts it among the most used inputs.
    """

    name: str
    help: str
    group: str
    form: Form | None
    default: str = ""
    absent: str = ""
    shown: str | None = None
    pipelines: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    fallback: str = ""
    key: Key | None = None
    often: bool = False

    @property
    def field(self) -> str:
        """The attribute of the dataclass that holds its value."""
        return self.name.removeprefix("_")

    @property
    def argument(self) -> str:
        """The value that the pipelines declare for the Arg."""
        return self.default if self.shown is None else self.shown

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the action's inputs."""
        return tuple(variable.removeprefix(PREFIX).lower() for variable in self.variables)

    def value(self, text: str, name: str) -> Any:
        """The value of a text, the default if it is empty. Raises UsageError that names the parameter as `name`."""
        if self.form is None:
            raise TypeError(f"{self.name} is read by a module of its own")
        return self.form.read(text if text.strip() else self.default, name)
