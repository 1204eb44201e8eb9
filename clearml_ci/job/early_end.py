"""Set the status of a commit whose check ends before it starts: an earlier success must not stand for it."""

from collections.abc import Mapping
from dataclasses import replace

from clearml_ci.core.errors import UsageError
from clearml_ci.core.poll import Clock
from clearml_ci.github_api import credentials, statuses
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.job import pull_request_event, reporter, settings
from clearml_ci.job.events import Event
from clearml_ci.parameters.check import CHECK_NAME, NOTHING, Check
from clearml_ci.parameters.promotion_mode import PROMOTE
from clearml_ci.policy import policy_file


def set_error(environ: Mapping[str, str], event: Event, reason: str, *, promotes: bool, clock: Clock) -> None:
    """Set the status of the event's commit to an error. Without a token, or a commit, there is none to set.

    GitHub is waited for if it does not answer: that may be the reason itself.

    The policy that names the check may be what cannot be read: a commit with one status of ours has its only one.
    """
    try:
        check, path = _check(environ, event, promotes=promotes), settings.policy_file(environ)
    except UsageError:
        return
    job = reporter.connect(check, credentials.token(environ))
    if job.github is None:
        return
    job.be_patient(clock)
    for name in {check.check_name} if path else _names(job.github, check):
        job.set_status(state="error", description=reason, url="", name=name)


def _check(environ: Mapping[str, str], event: Event, *, promotes: bool) -> Check:
    """The check as far as the event and the inputs describe it. Raises UsageError if they name no commit."""
    pull = pull_request_event.pull_request(event, github_api=credentials.api_url(environ))
    commit = pull_request_event.head(event, expected="")
    name = settings.name(environ) or policy_file.name_of(settings.policy_file(environ) or policy_file.FILE)
    action, merge = (PROMOTE, pull_request_event.merge_commit(event)) if promotes else ("check", "")
    return replace(NOTHING, commit=commit, pull_request=pull, name=name, action=action, merge_commit=merge)


def _names(github: GitHub, check: Check) -> set[str]:
    """The name of the check's status, or of the only one of ours that the commit has."""
    try:
        found = statuses.names(github, commit=check.status_commit)
    except GitHubError:
        found = []
    ours = {name for name in found if name.startswith(CHECK_NAME)}
    return ours if len(ours) == 1 else {check.check_name}
