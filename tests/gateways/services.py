"""What a step of an agent works with: the credentials of this environment, and a clock that does not wait."""

import os
from collections.abc import Mapping

from clearml_ci.clearml_api import run_results
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core.poll import Clock
from clearml_ci.operations import github_access
from clearml_ci.operations.services import Services
from tests.clock import fast_clock


def of_agent(clearml: ClearML, *, clock: Clock | None = None) -> Services:
    return Services(clearml, github_access.from_environment(os.environ), clock or fast_clock())


def leave_result(clearml: ClearML, step: str, result: Mapping[str, object]) -> None:
    """Store a step's result on its task, as its agent does."""
    run_results.store(clearml, step, result)
