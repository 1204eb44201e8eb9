"""The job's own word on GitHub: before the run, where nobody else can, and for agents without credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clearml_ci import (
    audit,
    events,
    github_checks,
    github_gateway,
    github_reads,
    lineage,
    policy,
    publish,
    pull_code,
    settings,
    workflow,
)
from clearml_ci.audit import Home
from clearml_ci.check import Check, Facts, PullRequest
from clearml_ci.errors import UsageError
from clearml_ci.events import Event, Push
from clearml_ci.github_gateway import GitHub, GitHubError
from clearml_ci.policy import Policy
from clearml_ci.verdict import Document

MOST_COMMITS = 100  # of a push, each of which is a request or two


@dataclass
class Voice:
    """What the job says about one check. Without a token, or where GitHub refuses, the job's own result must do.

    `warnings` are what was refused so far, to the job or to the steps' agent: the check run and the job's summary tell
    them as well.
    """

    hub: GitHub | None
    check: Check
    check_run: int | None = None
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Once, however often it is refused."""
        if text not in self.warnings:
            self.warnings.append(text)
            workflow.warn(text)

    def status(self, *, state: str, description: str, url: str, commit: str = "") -> None:
        """The commit status, by default of the commit that the check tells of; of none, where it is about none."""
        if self.hub is None or not self.check.has_status:
            return
        commit = commit or self.check.told_at
        try:
            github_gateway.set_status(
                self.hub,
                commit=commit,
                name=self.check.check_name,
                state=state,
                description=description,
                url=url,
            )
        except GitHubError as error:
            self.warn(str(error))

    def facts(self) -> Facts:
        """What agents without credentials need to know of GitHub, to check a pull request."""
        if self.hub is None or self.check.action != "check":
            return Facts()
        pull = self.check.pull_request
        try:
            return Facts(
                main_commits=tuple(lineage.of_main(self.hub, self.check)) if self._compares_with_main() else (),
                reusable_commits=tuple(lineage.still_valid(self.hub, self.check)),
                approved=self.check.until != "off" and pull.is_fork and pull_code.is_approved(self.hub, self.check),
            )
        except GitHubError as error:
            self.warn(str(error))
            return Facts()

    def _compares_with_main(self) -> bool:
        return self.check.baseline_main and bool(self.check.gates)

    def started(self, url: str) -> None:
        """A check run in progress, where the token may and somebody will end it."""
        if self.hub is None or not self.check.waited_for or not self.check.has_status:
            return
        try:
            name = github_checks.NAME.format(self.check.check_name)
            self.check_run = github_checks.start(self.hub, commit=self.check.told_at, name=name, url=url)
        except GitHubError as error:
            self.warn(str(error))

    def ended(self, document: Document, body: str) -> None:
        """The check run's conclusion."""
        if self.hub is not None and self.check_run is not None:
            refused = publish.check_run(
                self.hub, self.check, document, body, started=self.check_run, warnings=self.warnings
            )
            if refused:
                self.warn(refused)

    def verdict(self, document: Document, body: str) -> str:
        """Comment and status, or an audit's issue, for steps whose agent holds no credentials; the address."""
        if self.hub is None:
            self.warn("neither the steps' agent nor this job has a GITHUB_TOKEN: nothing is told on GitHub")
            return ""
        if self.check.action == audit.PIPELINE:
            return self._issue(self.hub, document, body)
        posted = publish.verdict(self.hub, self.check, document, body)
        for warning in posted.warnings:
            self.warn(warning)
        return posted.comment_url

    def _issue(self, hub: GitHub, document: Document, body: str) -> str:
        try:
            return publish.audit(hub, self.check, document, body)
        except GitHubError as error:
            self.warn(str(error))
            return ""


def connect(check: Check, token: str) -> Voice:
    """A silent voice without a token, or where GitHub does not answer."""
    job, pull = Voice(None, check), check.pull_request
    try:
        if token:
            job.hub = github_gateway.connect(
                api_url=pull.github_api,
                token=token,
                repository=pull.repository,
                comment_authors=check.comment_authors,
            )
    except GitHubError as error:
        job.warn(str(error))
    return job


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
    hub = github_gateway.connect(
        api_url=events.api_url(environ), token=token, repository=event["repository"]["full_name"]
    )
    commits = _commits(hub, push)
    pulls = github_reads.merged_pulls(hub, commits[-MOST_COMMITS:])
    found = [one for one in (events.of_merge(event, pull, branch=push.branch) for pull in pulls) if one]
    said = [] if found else [f"{pushed} merged no pull request: nothing is promoted"]
    if len(commits) > MOST_COMMITS:
        said.append(f"{pushed} brought {len(commits)} commits: only the last {MOST_COMMITS} were looked at for merges")
    return found, said


def _commits(hub: GitHub, push: Push) -> list[str]:
    """What was pushed, oldest first. An event lists a part at most, and then not the newest."""
    complete = push.commits and push.commits[-1] == push.after
    listed = push.commits if complete else github_reads.pushed_commits(hub, before=push.before, after=push.after)
    return list(dict.fromkeys([*listed, push.after]))


def home(environ: Mapping[str, str]) -> Home:
    """The repository that an audit speaks for, and what its main branch is now. Raises GitHubError and UsageError."""
    name, token = settings.github_repository(environ), settings.github_token(environ)
    if not token:
        raise UsageError("GITHUB_TOKEN is not set: an audit asks GitHub which commits the main branch has")
    hub = github_gateway.connect(api_url=events.api_url(environ), token=token, repository=name)
    url, base = github_reads.home(hub)
    return Home(
        repository=name,
        clone_url=url,
        github_api=events.api_url(environ),
        base=base,
        repositories=(url,),
        recent=tuple(github_reads.recent_commits(hub, base)),
    )


def read_policy(pull: PullRequest, token: str, path: str = "") -> Policy | None:
    """The policy of the base branch: the file at `path`, or the usual one, and None where there is none of that.

    Raises GitHubError, and UsageError also where a file that is named is not there.
    """
    if not token:
        raise UsageError(
            f"without a GITHUB_TOKEN the base branch cannot be asked for its policy ({policy.FILE}): set it, "
            "in a workflow to ${{ github.token }}"
        )
    hub = github_gateway.connect(api_url=pull.github_api, token=token, repository=pull.repository)
    head = github_reads.branch_head(hub, pull.base)
    file = path or policy.FILE
    text = github_reads.file_at(hub, path=file, commit=head)
    if text is None and path:
        raise UsageError(
            f"the branch '{pull.base}' of {pull.repository} has no {path}: a policy is read from the base branch, so "
            "merge it there first, or correct CLEARML_CI_POLICY (the input `policy`)"
        )
    return policy.load(text, source=f"{file} of {pull.base}") if text is not None else None
