"""The backtest of a pull request that changes the policy file, as a comment of its own: it judges nothing."""

from collections.abc import Mapping
from dataclasses import replace

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearMLError
from clearml_ci.core import console, redaction
from clearml_ci.core.errors import UsageError
from clearml_ci.core.formatting import listed
from clearml_ci.core.poll import Clock
from clearml_ci.github_api import file_contents, git_history, pull_request_comment
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.job import backtest, workflow_output
from clearml_ci.job import settings as job_settings
from clearml_ci.job.events import Event
from clearml_ci.job.settings import Settings
from clearml_ci.parameters.check import Check
from clearml_ci.policy import policy_file
from clearml_ci.report import backtest_markdown, backtest_text

_OPENED = "opened"  # the action of a pull request's first event, before which it has no comment


_NOT_MADE = "the backtest of the changed policy could not be made"


# Where a policy looks for tasks: a pull request must not have another project's figures written into a comment.
_SCOPE = {"project": "project", "task_name": "task_name", "best_tag": "baselines.tag"}


def post(environ: Mapping[str, str], settings: Settings, event: Event, clock: Clock) -> None:
    """Comment the backtest if the pull request changes the policy file. A failure is a warning: no check needs it."""
    if not settings.github_token or settings.check.comment == "off":
        return
    try:
        _post(environ, settings, event, clock)
    except (ClearMLError, GitHubError, UsageError) as error:
        workflow_output.warn(f"{_NOT_MADE}: {error}")
    except (Exception, KeyboardInterrupt) as error:  # whatever it is, the verdict of the check stands
        console.log_error(error)
        workflow_output.warn(f"{_NOT_MADE}: {redaction.mask(f'{type(error).__name__}: {error}')}")


def _post(environ: Mapping[str, str], settings: Settings, event: Event, clock: Clock) -> None:
    check, path = settings.check, job_settings.policy_file(environ) or policy_file.FILE
    pull = check.pull_request
    github = github_session.connect(api_url=pull.github_api, token=settings.github_token, repository=pull.repository)
    marker = backtest_markdown.marker(pull.repository, pull.number, check.name)
    try:
        changed = git_history.changed_since_merge_base(github, base=pull.base, head=check.commit)
    except GitHubError as error:  # hardly any pull request changes the policy
        console.log(f"whether this pull request changes the policy is not known: {error}")
        return
    if path not in changed:
        if event.get("action") != _OPENED:
            _take_back(github, check, marker)
        return
    text = file_contents.read(github, path=path, commit=check.commit)
    if text is None:
        workflow_output.note(f"this pull request removes {path}: there is nothing to backtest")
        return
    body = _body(github, settings, text, path, marker, clock)
    url = pull_request_comment.upsert(
        github, pull_request=pull.number, commit=check.commit, marker=marker, body=body, mode="always"
    )
    if url:
        console.log(f"backtest of the changed policy: {url}")


def _take_back(github: GitHub, check: Check, marker: str) -> None:
    """Replace the comment of an earlier push, if there is one: the pull request changes the file no longer."""
    pull_request_comment.edit(
        github,
        pull_request=check.pull_request.number,
        marker=marker,
        change=lambda _: backtest_markdown.unchanged(marker=marker, commit=check.commit),
        mode="on-failure",
    )


def _body(github: GitHub, settings: Settings, text: str, path: str, marker: str, clock: Clock) -> str:
    check = settings.check
    base = check.pull_request.base
    try:
        changed = policy_file.load(text, source=path, path=path).governed(check)
    except UsageError as error:
        return backtest_markdown.invalid(str(error), marker=marker, commit=check.commit)
    scoped = replace(changed, name=check.name, **{field: getattr(check, field) for field in _SCOPE})
    keys = [key for field, key in _SCOPE.items() if getattr(changed, field) != getattr(check, field)]
    notes = [f"The file also changes {listed(keys, separator=', ')}: the backtest looks at the tasks of {base}."]
    clearml = clearml_session.connect(clock)
    rules = {f"policy of {base}": check, "this pull request": scoped}
    branch = backtest.default_branch(github, base)
    tests = backtest.of(clearml, rules, settings.pipeline_project, branch, base=base)
    for line in backtest_text.lines(tests) if tests else []:
        console.log(line)
    return backtest_markdown.comment(tests, marker=marker, commit=check.commit, notes=notes if keys else ())
