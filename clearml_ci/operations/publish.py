"""What a check says on GitHub, whoever holds the credentials: a step on its agent, or the job that waits for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from clearml_ci.core.documents import AuditVerdict, VerdictDocument
from clearml_ci.decisions.verdict import is_let_pass
from clearml_ci.github_api import check_runs, issues, pull_request_comment, pull_requests, statuses
from clearml_ci.github_api.pull_requests import PullRequestState
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check
from clearml_ci.report import audit_issue, comment
from clearml_ci.report import markdown as cells

T = TypeVar("T")


CONCLUSIONS = {"success": "success", "failure": "failure", "error": "failure"}


@dataclass(frozen=True)
class Posted:
    """`comment_url` is empty where nothing is said in a comment; `warnings` tell what GitHub refused."""

    comment_url: str
    status_set: bool
    warnings: tuple[str, ...]


def verdict(hub: GitHub, wanted: Check, document: VerdictDocument, body: str) -> Posted:
    """Comment, and status where there is one. What is refused becomes a warning: it does not turn the verdict."""
    url, refused = _attempt(lambda: _comment(hub, wanted, document, body), ("", ""))
    comment_url, moved = url
    status_url, status_refused = _attempt(lambda: _status(hub, wanted, document), "")
    warnings = [text for text in (moved, refused, status_refused) if text]
    return Posted(comment_url, bool(status_url), tuple(dict.fromkeys(warnings)))


def audit(hub: GitHub, wanted: Check, document: AuditVerdict, body: str) -> str:
    """The address of the repository's one issue, which is closed when all is well. Raises GitHubError."""
    return issues.upsert(
        hub,
        marker=audit_issue.marker(wanted.pull_request.repository, wanted.name),
        title=audit_issue.title(document),
        body=body,
        open_=document["exit_code"] != 0,
    )


def outdated(hub: GitHub | None, wanted: Check) -> str:
    """Why a rerun must not write to its pull request as it stands now, or nothing."""
    if hub is None or not wanted.has_status:  # a rollback's line is about the promotion that it undid
        return ""
    number = wanted.pull_request.number
    pull, refused = _attempt(lambda: pull_requests.read(hub, number), None)
    if pull is None:
        return refused
    if wanted.action == promotion_mode.PROMOTE:
        return not_the_merge(pull, wanted)
    if pull.state != "open":
        return f"pull request #{number} is {'merged' if pull.merged else 'closed'}"
    return f"pull request #{number} has moved on to {pull.head_sha[:10]}" if pull.head_sha != wanted.commit else ""


def not_the_merge(pull: PullRequestState, wanted: Check) -> str:
    """Why this pull request is not the merge that a promotion is asked for, or nothing."""
    name, default = f"pull request #{pull.number}", wanted.pull_request.default_branch
    if not pull.merged:
        return f"{name} is not merged ({pull.state})"
    if default and pull.base_ref != default:
        return f"{name} was merged into '{pull.base_ref}', not into '{default}'"
    if pull.head_sha != wanted.commit:
        return f"{name} was merged at {pull.head_sha[:10]}, not at {wanted.commit[:10]}"
    if pull.merge_commit_sha != wanted.merge_commit:
        made, asked = (str(sha or "nothing")[:10] for sha in (pull.merge_commit_sha, wanted.merge_commit))
        return f"{name} was merged as {made}, not as {asked}"
    return ""


def check_run(
    hub: GitHub,
    wanted: Check,
    document: VerdictDocument,
    body: str,
    *,
    started: int | None,
    warnings: Sequence[str] = (),
) -> str:
    """The check run's conclusion; the one that was started, or a new one where the token may. A warning, or nothing.

    `warnings` are those of what GitHub refused before: where no comment could be written, this is where people look.
    """

    def finish() -> str:
        if not wanted.has_status:
            return ""
        url = document["pipeline"]["url"]
        name = check_runs.NAME.format(wanted.check_name)
        one = started or check_runs.start(hub, commit=document["told_at"], name=name, url=url)
        if one is not None:
            conclusion = "neutral" if is_let_pass(document) else CONCLUSIONS[document["state"]]
            end = cells.afterword(warnings)
            title = f"{document['outcome'].words}: {document['exit_reason']}"[:200]
            check_runs.finish(hub, one, conclusion=conclusion, title=title, summary=body, url=url, end=end)
        return ""

    _, refused = _attempt(finish, "")
    return refused


def described(document: VerdictDocument) -> str:
    """The verdict in a commit status's few words."""
    stamp = f" ({document['rerun']['said']})" if document["rerun"] else ""
    return f"{document['outcome'].words}{stamp}: {document['exit_reason']}"


def _comment(hub: GitHub, wanted: Check, document: VerdictDocument, body: str) -> tuple[str, str]:
    """The comment's address, and why there is none where that has to be told."""
    pull = wanted.pull_request
    if wanted.action != "check":
        return _line(hub, wanted, document, body), ""
    head = pull_requests.read(hub, pull.number).head_sha
    if head != wanted.commit:
        return "", f"pull request #{pull.number} has moved on to {head[:10]}: its comment is left to the new head"
    url = pull_request_comment.upsert(
        hub,
        pull_request=pull.number,
        commit=wanted.commit,
        marker=comment.marker(pull.repository, pull.number, wanted.name),
        body=body,
        mode=wanted.comment,
        failure=document["exit_code"] != 0,
    )
    return url, ""


def _line(hub: GitHub, wanted: Check, document: VerdictDocument, body: str) -> str:
    """What happened after the merge is a line of the check's own comment, which stays as it is."""
    pull = wanted.pull_request
    return pull_request_comment.edit(
        hub,
        pull_request=pull.number,
        marker=comment.marker(pull.repository, pull.number, wanted.name),
        change=lambda earlier: comment.with_line(earlier or body, document),
        mode=wanted.comment,
        failure=document["exit_code"] != 0,
    )


def _status(hub: GitHub, wanted: Check, document: VerdictDocument) -> str:
    """The status' address; empty where the verdict is about no commit."""
    if not wanted.has_status:
        return ""
    return statuses.create(
        hub,
        commit=document["told_at"],
        name=wanted.check_name,
        state=document["state"],
        description=described(document),
        url=document["pipeline"]["url"],
    )


def _attempt(act: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """What it returned, and what GitHub said when it refused."""
    try:
        return act(), ""
    except GitHubError as error:
        return otherwise, str(error)
