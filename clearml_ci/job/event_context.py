"""GitHub's part of a job's event: the merges of a push, the repository of an audit, the policy of the base branch."""

from collections.abc import Mapping

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials, file_contents, git_history, merge_history, pull_requests, repository_info
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub
from clearml_ci.job import events, settings
from clearml_ci.job.events import Event, Push
from clearml_ci.parameters.audit import Home
from clearml_ci.parameters.pull_request import PullRequest
from clearml_ci.policy import policy_file
from clearml_ci.policy.policy_file import Policy

MOST_COMMITS = 100  # of a push, each of which is a request or two


def merges(environ: Mapping[str, str]) -> tuple[list[Event], list[str]]:
    """The events of the merges that this job is about, oldest first, and notes on what is left out.

    A push names no pull request: GitHub knows which ones it merged. Raises GitHubError and UsageError.
    """
    event = events.read(environ)
    push = events.pushed(environ, event)
    if push is None:
        event = events.pull_request(environ)
        reason = events.nothing_to_promote(event)
        return ([], [reason]) if reason else ([event], [])
    name, default = f"the push of {push.after[:10]} to {push.branch}", events.default_branch(event)
    if default and push.branch != default:
        return [], [f"{name} is about another branch, {events.ONLY_DEFAULT.format(default=default)}"]
    github = connect(environ, events.repository(event), reason="GitHub knows which pull requests a push merged")
    commits = _commits(github, push)
    pulls = pull_requests.merges_of(github, commits[-MOST_COMMITS:])
    merged = [merge for pull in pulls if (merge := events.of_merge(event, pull, branch=push.branch))]
    notes = [] if merged else [f"{name} merged no pull request: nothing is promoted"]
    if len(commits) > MOST_COMMITS:
        notes.append(f"{name} brought {len(commits)} commits: only the last {MOST_COMMITS} were looked at for merges")
    return merged, notes


def connect(environ: Mapping[str, str], repository: str, *, reason: str) -> GitHub:
    """Connect with the job's token. Raises GitHubError; UsageError without a token."""
    token = credentials.token(environ)
    if not token:
        raise UsageError(f"GITHUB_TOKEN is not set: {reason}; set it, in a workflow to ${{{{ github.token }}}}")
    return github_session.connect(api_url=credentials.api_url(environ), token=token, repository=repository)


def _commits(github: GitHub, push: Push) -> list[str]:
    """The commits of a push, oldest first. An event lists a part at most, and then not the newest."""
    complete = push.commits and push.commits[-1] == push.after
    listed = push.commits if complete else git_history.pushed_commits(github, before=push.before, after=push.after)
    return list(dict.fromkeys([*listed, push.after]))


def home(environ: Mapping[str, str], *, needed_by: str) -> Home:
    """The repository of an audit or a calibration, and its default branch as it is now.

    `needed_by` is which of them asks. Raises GitHubError, UsageError.
    """
    name = settings.github_repository(environ)
    github = connect(environ, name, reason=f"{needed_by} asks GitHub which commits the default branch has")
    url, base = repository_info.clone_url_and_default_branch(github)
    history = merge_history.recent(github, base)
    return Home(
        repository=name,
        clone_url=url,
        github_api=credentials.api_url(environ),
        base=base,
        repositories=(url,),
        recent=history.commits,
        merges=history.merges,
    )


def read_policy(pull: PullRequest, token: str, path: str = "") -> Policy | None:
    """The policy of the base branch: the file at `path`, or the default one; None if that does not exist.

    Raises GitHubError, and UsageError also if a file that is named does not exist.
    """
    if not token:
        raise UsageError(
            f"GITHUB_TOKEN is not set: the policy of the base branch ({policy_file.FILE}) is read from GitHub; set it, "
            "in a workflow to ${{ github.token }}"
        )
    github = github_session.connect(api_url=pull.github_api, token=token, repository=pull.repository)
    head = git_history.branch_head(github, pull.base)
    file = path or policy_file.FILE
    text = file_contents.read(github, path=file, commit=head)
    if text is None and path:
        raise UsageError(
            f"the branch '{pull.base}' of {pull.repository} has no {path}: a policy is read from the base branch, so "
            "merge it there first, or correct CLEARML_CI_POLICY (the input `policy`)"
        )
    return policy_file.load(text, source=f"{file} of {pull.base}", path=file) if text is not None else None
