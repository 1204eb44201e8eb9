"""The job's own word on GitHub: before the run, where nobody else can, and for agents without credentials."""

from dataclasses import dataclass, field

from clearml_ci.core.documents import AuditVerdict, VerdictDocument
from clearml_ci.decisions import verdict
from clearml_ci.github_api import check_runs, statuses
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.job import workflow_output
from clearml_ci.operations import commit_history, publish, pull_request_code
from clearml_ci.parameters.check import Check
from clearml_ci.parameters.pull_request import Facts


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
            workflow_output.warn(text)

    def status(self, *, state: str, description: str, url: str, commit: str = "") -> None:
        """The commit status, by default of the commit that the check tells of; of none, where it is about none."""
        if self.hub is None or not self.check.has_status:
            return
        commit = commit or self.check.told_at
        try:
            statuses.create(
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
                main_commits=tuple(commit_history.of_main(self.hub, self.check)) if self._compares_with_main() else (),
                reusable_commits=tuple(commit_history.still_valid(self.hub, self.check)),
                approved=self.check.until != "off"
                and pull.is_fork
                and pull_request_code.is_approved(self.hub, self.check),
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
            name = check_runs.NAME.format(self.check.check_name)
            self.check_run = check_runs.start(self.hub, commit=self.check.told_at, name=name, url=url)
        except GitHubError as error:
            self.warn(str(error))

    def ended(self, document: VerdictDocument, body: str) -> None:
        """The check run's conclusion."""
        if self.hub is not None and self.check_run is not None:
            refused = publish.check_run(
                self.hub, self.check, document, body, started=self.check_run, warnings=self.warnings
            )
            if refused:
                self.warn(refused)

    def verdict(self, document: VerdictDocument, body: str) -> str:
        """Comment and status, or an audit's issue, for steps whose agent holds no credentials; the address."""
        if self.hub is None:
            self.warn("neither the steps' agent nor this job has a GITHUB_TOKEN: nothing is told on GitHub")
            return ""
        if verdict.is_audit(document):
            return self._issue(self.hub, document, body)
        posted = publish.verdict(self.hub, self.check, document, body)
        for warning in posted.warnings:
            self.warn(warning)
        return posted.comment_url

    def _issue(self, hub: GitHub, document: AuditVerdict, body: str) -> str:
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
            job.hub = github_session.connect(
                api_url=pull.github_api,
                token=token,
                repository=pull.repository,
                comment_authors=check.comment_authors,
            )
    except GitHubError as error:
        job.warn(str(error))
    return job
