"""The noise of a policy's gates, which `validate` prints if a ClearML server answers."""

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.operations import noise_figures
from clearml_ci.parameters.check import Check
from clearml_ci.report import noise_table

_NOT_READ = "noise: not looked at, because {}"


def lines(check: Check, clock: Clock) -> list[str]:
    """The noise of the policy's gates, a table for each model; or the reason, in one line, why it was not looked at."""
    if why := _why_not(check):
        return [_NOT_READ.format(why)]
    try:
        found = noise_figures.read(clearml_session.connect(clock), check)
    except (ClearMLError, UsageError) as error:
        return [_NOT_READ.format(f"{error}{error.log_only}")]
    return [
        line
        for name, figures in found.items()
        for line in (f"noise of {name or 'the tasks'} in {check.project}:", *noise_table.lines(figures))
    ]


def _why_not(check: Check) -> str:
    if not check.gates:
        return "the policy has no gate"
    if not clearml_session.has_keys():
        return "no ClearML keys are set"
    return "" if check.project else "the policy names no `project`"
