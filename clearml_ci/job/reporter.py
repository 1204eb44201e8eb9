"""The job's own posts on GitHub: before the run, and for agents without credentials."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from clearml_ci.core.documents import VerdictDocument
from clearml_ci.core.poll import Clock
from clearml_ci.core.step_results import ReportResult
from clearml_ci.decisions import verdict
from clearml_ci.github_api import check_runs, git_history, merge_groups, pull_requests, statuses
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError, Outage
from clearml_ci.job import workflow_output
from clearml_ci.operations import accepted_losses, commit_history, publish, pull_request_code
from clearml_ci.operations.publish import Posted
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Acceptance, Facts
from clearml_ci.parameters.remote_run import RemoteRun
from clearml_ci.report import audit_issue


@dataclass
class Reporter:
    """Posts about one check. Without a token, and if GitHub refuses, the job's own result is all there is.

    `warnings` are the refusals so far, to the job or to a step: the check run and the job's summary show them as
    well. `pending` is true while the commit has a status of this job that another one must follow;
    `is_set` is true once GitHub took a status.
    """

    github: GitHub | None
    check: Check
    check_run: int | None = None
    pending: bool = False
    is_set: bool = False
    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        """Log a warning, but each text only once."""
        if text not in self.warnings:
            self.warnings.append(text)
            workflow_output.warn(text)

    def be_patient(self, clock: Clock) -> None:
        """Wait from now on while GitHub does not answer, at most a minute: only the job itself makes its last posts."""
        if self.github is not None and self.github.outage is None:
            self.github = replace(self.github, outage=Outage(clock))

    def set_status(
        self, *, state: str, description: str, url: str, commit: str = "", name: str = "", repeated: bool = True
    ) -> None:
        """Set the commit status, of the check's own commit and name unless others are given; none without a commit."""
        if self.github is None or not self.check.has_status:
            return
        try:
            statuses.create(
                self.github,
                commit=commit or self.check.status_commit,
                name=name or self.check.check_name,
                state=state,
                description=description,
                url=url,
                repeated=repeated,
            )
        except GitHubError as error:
            self.warn(str(error))
        else:
            self.is_set = True
            self.pending = state == "pending" if commit in ("", self.check.status_commit) else self.pending

    def link_status(self, url: str) -> None:
        """Link the pending status to the run: it stays if the run is aborted and no job waits for it.

        A run that was started long before its job knew it may have its verdict already, which stays.
        """
        if self.pending and self._is_pending(unread=False):
            # sent once: a late pending status must not replace the verdict's
            self.set_status(state="pending", description="runs in ClearML", url=url, repeated=False)

    def _is_pending(self, *, unread: bool) -> bool:
        """True if the newest status of the check is the job's own pending one; `unread` if that cannot be read."""
        if self.github is None:
            return False
        try:
            found = statuses.latest(self.github, commit=self.check.status_commit, name=self.check.check_name)
        except GitHubError:
            return unread
        return found is not None and found[0] == "pending"

    def is_of_head(self) -> bool:
        """True if this check is of the pull request's present head, or if there is no token to ask GitHub with."""
        if self.github is None:
            return True
        try:
            return pull_requests.read(self.github, self.check.pull_request.number).head_sha == self.check.commit
        except GitHubError as error:
            self.warn(str(error))
            return False

    def is_dismissed(self) -> bool:
        """True if this check is of a merge queue's commit, and its branch is gone."""
        if self.github is None or not self.check.group:
            return False
        try:
            return not merge_groups.exists(self.github, self.check.group_branch)
        except GitHubError:
            return False

    def facts(self, launch: RemoteRun | None) -> Facts:
        """Read what agents without credentials need to know of GitHub to check a pull request."""
        if self.github is None or self.check.action != "check":
            return Facts()
        try:
            reusable = tuple(commit_history.reusable_commits(self.github, self.check))
            return Facts(
                main_commits=tuple(self._main_commits(self.github)),
                reusable_commits=reusable,
                approved=self._is_approved(self.github, launch),
                committed=self._committed(self.github, [self.check.commit, *reusable]),
                accepted=self._accepted(self.github),
            )
        except GitHubError as error:
            self.warn(str(error))
            return Facts()

    def _main_commits(self, github: GitHub) -> list[str]:
        compares = self.check.baseline_main and self.check.gates
        return commit_history.merge_base_commits(github, self.check) if compares else []

    def _committed(self, github: GitHub, commits: Sequence[str]) -> dict[str, str]:
        if self.check.candidate in ("none", "train"):  # no recorded task is looked for
            return {}
        return {commit: git_history.committed(github, commit).isoformat() for commit in commits}

    def _accepted(self, github: GitHub) -> tuple[Acceptance, ...]:
        """The comments that accept losses; anybody can write one, so a refusal here must not cost the other facts."""
        try:
            return tuple(accepted_losses.read(github, self.check)) if self.check.gates else ()
        except GitHubError as error:
            self.warn(str(error))
            return ()

    def _is_approved(self, github: GitHub, launch: RemoteRun | None) -> bool:
        if launch is None or not self.check.pull_request.is_fork:
            return False
        return pull_request_code.is_approved(github, self.check, label=launch.approval_label)

    def start_check_run(self, url: str) -> None:
        """Start a check run if the token may, and if this job waits and will finish it."""
        if self.github is None or not self.check.waited_for or not self.check.has_status:
            return
        try:
            name = check_runs.NAME.format(self.check.check_name)
            self.check_run = check_runs.start(self.github, commit=self.check.status_commit, name=name, url=url)
        except GitHubError as error:
            self.warn(str(error))

    def finish_check_run(self, document: VerdictDocument, body: str) -> None:
        """Finish the check run that was started."""
        if self.github is not None and self.check_run is not None:
            warning = publish.check_run(
                self.github, self.check, document, body, started=self.check_run, warnings=self.warnings
            )
            if warning:
                self.warn(warning)
            else:
                self.check_run = None

    def post_verdict(self, document: VerdictDocument, body: str) -> str:
        """Post comment and status, or an audit's issue, for steps whose agent has no credentials; the address."""
        if self.github is None:
            self.warn(
                "neither the agent that runs the steps nor this job has a GITHUB_TOKEN: nothing is posted on GitHub"
            )
            return ""
        posted = publish.verdict(self.github, self.check, document, body)
        self.pending = self.pending and not posted.status_set
        return self._seen(posted)

    def correct_comment(self, document: VerdictDocument, body: str) -> None:
        """Replace what the run of this verdict commented before it failed."""
        if self.github is not None and (warning := publish.correct_comment(self.github, self.check, document, body)):
            self.warn(warning)

    def post_rest(self, document: VerdictDocument, report: ReportResult) -> str:
        """Post what GitHub refused to the step; the address of the comment or issue."""
        if not report["posted"]:
            return self.post_verdict(document, report["markdown"])
        hidden = self.pending and self._is_pending(unread=True)  # the link to the run came after it
        if report["status_set"] and not hidden:
            self.pending = False
        else:
            description = publish.status_description(document)
            self.set_status(state=document["state"], description=description, url=document["pipeline"]["url"])
        if report["commented"] or self.github is None:
            return report["comment_url"]
        return self._seen(publish.comment_alone(self.github, self.check, document, report["markdown"]))

    def _seen(self, posted: Posted) -> str:
        """The address of what was posted; logs what GitHub refused."""
        for warning in posted.warnings:
            self.warn(warning)
        return posted.comment_url

    def post_start_error(self, reason: str) -> None:
        """Update the issue of an audit that could not start, or log why not."""
        document = verdict.error(self.check, run={"id": "", "url": ""}, reason=reason)
        if self.github is not None and verdict.is_audit(document):
            self.post_verdict(document, audit_issue.issue(document))


def connect(check: Check, token: str) -> Reporter:
    """A reporter that posts nothing without a token, or if GitHub does not answer."""
    reporter, pull = Reporter(None, check), check.pull_request
    try:
        if token:
            reporter.github = github_session.connect(
                api_url=pull.github_api,
                token=token,
                repository=pull.repository,
                comment_authors=check.comment_authors,
            )
    except GitHubError as error:
        reporter.warn(str(error))
    return reporter
