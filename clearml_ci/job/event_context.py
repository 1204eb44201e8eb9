from collections.abc import Mapping

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import file_contents, git_history, pull_requests, repository_info
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
    """The events of the merges that this job is about, oldest first, and what has to be said where there is no more.

    A push names no pull request: GitHub knows which ones it merged. Raises GitHubError and UsageError.
    """
    event = events.read(environ)
    push = events.pushed(environ, event)
    if push is None:
        event = events.pull_request(environ)
        idle = events.idle(event)
        return ([], [idle]) if idle else ([event], [])
    pushed, default = f"the push of {push.after[:10]} to {push.branch}", events.default_branch(event)
    if default and push.branch != default:
        return [], [f"{pushed} is about another branch, {events.ONLY_DEFAULT.format(default=default)}"]
    token = settings.github_token(environ)
    if not token:
        raise UsageError("a push names no pull request: GITHUB_TOKEN is needed to ask GitHub which ones it merged")
    hub = github_session.connect(
        api_url=events.api_url(environ), token=token, repository=event["repository"]["full_name"]
    )
    commits = _commits(hub, push)
    pulls = pull_requests.merges_of(hub, commits[-MOST_COMMITS:])
    found = [one for one in (events.of_merge(event, pull, branch=push.branch) for pull in pulls) if one]
    said = [] if found else [f"{pushed} merged no pull request: nothing is promoted"]
    if len(commits) > MOST_COMMITS:
        said.append(f"{pushed} brought {len(commits)} commits: only the last {MOST_COMMITS} were looked at for merges")
    return found, said


def _commits(hub: GitHub, push: Push) -> list[str]:
    """What was pushed, oldest first. An event lists a part at most, and then not the newest."""
    complete = push.commits and push.commits[-1] == push.after
    listed = push.commits if complete else git_history.pushed_commits(hub, before=push.before, after=push.after)
    return list(dict.fromkeys([*listed, push.after]))


def home(environ: Mapping[str, str]) -> Home:
    """The repository that an audit speaks for, and what its main branch is now. Raises GitHubError and UsageError."""
    name, token = settings.github_repository(environ), settings.github_token(environ)
    if not token:
        raise UsageError("GITHUB_TOKEN is not set: an audit asks GitHub which commits the main branch has")
    hub = github_session.connect(api_url=events.api_url(environ), token=token, repository=name)
    url, base = repository_info.clone_url_and_default_branch(hub)
    return Home(
        repository=name,
        clone_url=url,
        github_api=events.api_url(environ),
        base=base,
        repositories=(url,),
        recent=tuple(git_history.recent_commits(hub, base)),
    )


def read_policy(pull: PullRequest, token: str, path: str = "") -> Policy | None:
    """The policy of the base branch: the file at `path`, or the usual one, and None where there is none of that.

    Raises GitHubError, and UsageError also where a file that is named is not there.
    """
    if not token:
        raise UsageError(
            f"without a GITHUB_TOKEN the base branch cannot be asked for its policy ({policy_file.FILE}): set it, "
            "in a workflow to ${{ github.token }}"
        )
    hub = github_session.connect(api_url=pull.github_api, token=token, repository=pull.repository)
    head = git_history.branch_head(hub, pull.base)
    file = path or policy_file.FILE
    text = file_contents.read(hub, path=file, commit=head)
    if text is None and path:
        raise UsageError(
            f"the branch '{pull.base}' of {pull.repository} has no {path}: a policy is read from the base branch, so "
            "merge it there first, or correct CLEARML_CI_POLICY (the input `policy`)"
        )
    return policy_file.load(text, source=f"{file} of {pull.base}") if text is not None else None
