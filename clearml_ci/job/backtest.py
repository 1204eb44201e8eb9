"""The job of a backtest: judge the checks of the past by a policy file, beside the policy of the default branch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from clearml_ci.clearml_api import backtest_task, past_runs
from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML
from clearml_ci.core import console
from clearml_ci.core.errors import UsageError
from clearml_ci.core.formatting import count
from clearml_ci.core.poll import Clock
from clearml_ci.decisions import reverts
from clearml_ci.decisions.backtest import Backtest
from clearml_ci.github_api import credentials, merge_history, repository_info
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.job import event_context, settings, workflow_output
from clearml_ci.operations import backtest, past_checks
from clearml_ci.operations.backtest import Rules
from clearml_ci.operations.past_checks import Branch
from clearml_ci.parameters import check as check_parameters
from clearml_ci.parameters import job_environment, run_arguments
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.policy import policy_file
from clearml_ci.policy.policy_file import Policy
from clearml_ci.report import backtest_markdown, backtest_plots, backtest_text

DEFAULT, MOST = 100, 1_000  # checks


@dataclass(frozen=True)
class Options:
    """The options of the command; an empty `file` means the policy of the default branch alone."""

    file: str = ""
    last: str = str(DEFAULT)
    markdown: str = ""
    report: bool = False


@dataclass(frozen=True)
class _Home:
    """The repository's default branch: its name, what GitHub knows of it, and its policy; None without any."""

    base: str
    branch: Branch
    policy: Policy | None


def run(environ: Mapping[str, str], options: Options, clock: Clock) -> int:
    """Print the backtest, and write what the options ask for; 0. Raises ClearMLError, GitHubError and UsageError."""
    most = _number(options.last)
    changed = policy_file.read(options.file) if options.file else None  # a file with problems needs no server
    repository = settings.github_repository(environ)
    pipelines = f"{settings.pipeline_project(environ)}/{repository}"
    home = _home(environ, repository)
    rules = _rules(environ, home, changed)
    clearml = clearml_session.connect(clock)
    tests = of(clearml, rules, pipelines, home.branch, most=most, base=home.base)
    if not any(test.replayed for test in tests):
        console.log(f"no check of {repository} has ended in ClearML: there is nothing to judge")
        return 0
    for line in backtest_text.lines(tests):
        console.log(line)
    if options.markdown:
        _write(options.markdown, backtest_markdown.document(tests))
    if options.report:
        name = f"backtest of {tests[-1].name}"
        comment = f"ClearML CI judged {count(len(tests[-1].replayed), 'check')} of {repository} once more"
        plots = backtest_plots.of(tests)
        url = backtest_task.create(clearml, project=pipelines, name=name, comment=comment, plots=plots)
        console.log(f"ClearML task: {url}")
    return 0


def of(
    clearml: ClearML, rules: Rules, pipelines: str, branch: Branch, *, most: int = DEFAULT, base: str = ""
) -> list[Backtest]:
    """The outcomes of these policies for the newest checks by the policy of the same name.

    `pipelines` is the ClearML project of the repository's pipelines, `base` the name of the default branch. Raises
    ClearMLError and UsageError.
    """
    name = next(iter(rules.values())).name
    past = past_checks.of_runs(
        past_runs.read(clearml, pipelines, name=name, most=most), branch, name=name, base=base, most=most
    )
    return backtest.run(clearml, rules, past, branch=base or "main") if past.checks else []


def default_branch(github: GitHub, base: str) -> Branch:
    """The merges and the reverts of a branch, in two requests. Raises GitHubError."""
    history = merge_history.recent(github, base)
    return Branch(history.merges, reverts.reverted(history.messages))


def _number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MOST:
        raise UsageError(f"--last is '{text[:40]}': expected a number of checks from 1 to {MOST:,}")
    return int(text)


def _home(environ: Mapping[str, str], repository: str) -> _Home:
    """The default branch as GitHub has it; without a token, the policy is that of the checkout."""
    token = credentials.token(environ)
    if not token:
        workflow_output.note(
            "GITHUB_TOKEN is not set: the policy of the checkout stands for that of the default branch, and no revert "
            "is known"
        )
        return _Home("", Branch(), _of_checkout(environ))
    api_url = credentials.api_url(environ)
    github = github_session.connect(api_url=api_url, token=token, repository=repository)
    _, base = repository_info.clone_url_and_default_branch(github)
    pull = PullRequest(repository, 0, (), api_url, base=base)
    policy = event_context.read_policy(pull, token, settings.policy_file(environ))
    try:
        return _Home(base, default_branch(github, base), policy)
    except GitHubError as error:
        workflow_output.note(f"{error}: no revert is known")
        return _Home(base, Branch(), policy)


def _of_checkout(environ: Mapping[str, str]) -> Policy | None:
    path = settings.policy_file(environ)
    return policy_file.read(path or policy_file.FILE) if path or Path(policy_file.FILE).exists() else None


def _rules(environ: Mapping[str, str], home: _Home, changed: Policy | None) -> dict[str, Check]:
    """The check by the policy of the default branch, and that by the file."""
    own = _of_inputs(environ)
    governed = home.policy.governed(own) if home.policy else own
    known = {f"policy of {home.base or 'the checkout'}" if home.policy else "the inputs": governed}
    if changed is None:
        return known
    by_file = changed.governed(own)
    return {**known, changed.source: replace(by_file, name=governed.name)}


def _of_inputs(environ: Mapping[str, str]) -> Check:
    """The check by the inputs alone. Raises UsageError."""
    given = job_environment.read(environ)
    held = run_arguments.held_by(Check, check_parameters.PIPELINE)
    values = {**run_arguments.read(held, given.texts, names=given.names), "commit": ""}
    gates = check_parameters.gates(given.texts, names=given.names)
    return Check(**values, pull_request=check_parameters.NOTHING.pull_request, gates=gates)


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}; name another file after --markdown") from error
    console.log(f"written: {path}")
