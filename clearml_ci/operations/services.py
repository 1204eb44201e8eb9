"""The services of a step: built once in `agent.step.main`, and handed down from there."""

from dataclasses import dataclass

from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.poll import Clock
from clearml_ci.operations.github_access import GitHubAccess


@dataclass(frozen=True)
class Services:
    """The session with ClearML, what this agent may use of GitHub, and the clock that waiting goes by.

    `own_task` is the id of the task as which an agent runs the step, empty if a user does.
    """

    clearml: ClearML
    github: GitHubAccess
    clock: Clock
    own_task: str = ""
