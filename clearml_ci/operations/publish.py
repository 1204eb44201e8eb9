"""Post a run's verdict on GitHub, from a step on its agent or from the job that waits for it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from clearml_ci.core.documents import AuditVerdict, VerdictDocument
from clearml_ci.decisions import verdict as verdicts
from clearml_ci.decisions import verdict_sentence
from clearml_ci.github_api import check_runs, issues, pull_request_comment, pull_requests, statuses
from clearml_ci.github_api.pull_requests import PullRequestState
from clearml_ci.github_api.session import GitHub, GitHubError
from clearml_ci.parameters import promotion_mode
from clearml_ci.parameters.check import Check
from clearml_ci.report import audit_issue, comment, markdown

T = TypeVar("T")


CONCLUSIONS = {"success": "success", "failure": "failure", "error": "failure"}


@dataclass(frozen=True)
class Posted:
    """The parts that GitHub took: `comment_url` is empty if there is no comment; `warnings` are its refusals.

    `commented` is also true if there is no comment to write.
    """

    comment_url: str
    commented: bool
    status_set: bool
    warnings: tuple[str, ...]


def verdict(github: GitHub, check: Check, document: VerdictDocument, body: str) -> Posted:
    """Post the comment and the commit status of a verdict, or the issue of an audit.

    A refusal becomes a warning: it does not change the verdict.
    """
    if verdicts.is_audit(document):
        return _audit(github, check, document, body)
    status_url, status_refusal = _attempt(lambda: _status(github, check, document), "")
    posted = comment_alone(github, check, document, body)
    warnings = [text for text in (*posted.warnings, status_refusal) if text]
    return replace(posted, status_set=bool(status_url), warnings=tuple(dict.fromkeys(warnings)))


def comment_alone(github: GitHub, check: Check, document: VerdictDocument, body: str) -> Posted:
    """Post the comment of a verdict, as `verdict` does, without its status."""
    (url, outdated), refusal = _attempt(lambda: _comment(github, check, document, body), ("", ""))
    return Posted(url, not refusal, status_set=False, warnings=tuple(text for text in (outdated, refusal) if text))


def correct_comment(github: GitHub, check: Check, document: VerdictDocument, body: str) -> str:
    """Replace what the run of this verdict commented before it failed. Returns a warning, or "".

    A run can be killed after it has commented and before it has stored that: the comment itself links to the run.
    """
    pull, url = check.pull_request, document["pipeline"]["url"]
    if not check.has_status or check.comment == "off" or check.group or not url:
        return ""
    _, refusal = _attempt(
        lambda: pull_request_comment.correct(
            github,
            pull_request=pull.number,
            marker=comment.marker(pull.repository, pull.number, check.name),
            url=url,
            change=lambda earlier: body if check.action == "check" else comment.with_line(earlier, document),
        ),
        "",
    )
    return refusal


def _audit(github: GitHub, check: Check, document: AuditVerdict, body: str) -> Posted:
    """Update the repository's one issue, and close it if there are no findings. An audit has no status to set."""
    url, refusal = _attempt(
        lambda: issues.upsert(
            github,
            marker=audit_issue.marker(check.pull_request.repository, check.name),
            title=audit_issue.title(document),
            body=body,
            open_=document["exit_code"] != 0,
        ),
        "",
    )
    return Posted(url, not refusal, status_set=not refusal, warnings=(refusal,) if refusal else ())


def outdated(github: GitHub | None, check: Check) -> str:
    """Reason why a rerun must not write to its pull request as it is now, or ""."""
    if github is None or not check.has_status:  # a rollback's line is about the promotion that it undid
        return ""
    number = check.pull_request.number
    pull, refusal = _attempt(lambda: pull_requests.read(github, number), None)
    if pull is None:
        return refusal
    if check.action == promotion_mode.PROMOTE:
        return merge_mismatch(pull, check)
    if pull.state != "open":
        return f"pull request #{number} is {'merged' if pull.merged else 'closed'}"
    head, commit = pull.head_sha[:10], check.commit[:10]
    return f"the head of pull request #{number} is {head}, not {commit}" if pull.head_sha != check.commit else ""


def merge_mismatch(pull: PullRequestState, check: Check) -> str:
    """Reason why this pull request was not merged as the promotion's parameters have it, or ""."""
    name, default = f"pull request #{pull.number}", check.pull_request.default_branch
    if not pull.merged:
        return f"{name} is not merged ({pull.state})"
    if default and pull.base_ref != default:
        return f"{name} was merged into '{pull.base_ref}', not into '{default}'"
    if pull.head_sha != check.commit:
        return f"{name} was merged at {pull.head_sha[:10]}, not at {check.commit[:10]}"
    if pull.merge_commit_sha != check.merge_commit:
        actual, expected = (str(sha or "nothing")[:10] for sha in (pull.merge_commit_sha, check.merge_commit))
        return f"{name} was merged as {actual}, not as {expected}"
    return ""


def why_given_up(github: GitHub, check: Check, url: str) -> str:
    """Reason why the job may have given up the run at `url`, or "": the commit's status is its error, or is unreadable.

    The error links to the run, or to none: a job that reaches no ClearML does not know the address of its run.
    """
    if not check.has_status:
        return ""
    found, refusal = _attempt(lambda: statuses.latest(github, commit=check.status_commit, name=check.check_name), None)
    if found in (("error", url), ("error", "")):
        return "the job that started this run has ended with an error"
    return refusal


def was_given_up(github: GitHub, check: Check, document: VerdictDocument) -> bool:
    """As why_given_up, after the verdict was posted: its own status may have replaced the job's error."""
    url = document["pipeline"]["url"]
    found, _ = _attempt(
        lambda: statuses.before(
            github, commit=document["told_at"], name=check.check_name, own=(document["state"], url)
        ),
        None,
    )
    return found in (("error", url), ("error", ""))


def take_back(github: GitHub, check: Check, document: VerdictDocument, body: str) -> list[str]:
    """Replace the status and the comment that were posted with those of an error. Returns warnings."""
    _, refusal = _attempt(lambda: _status(github, check, document), "")
    return [text for text in (refusal, correct_comment(github, check, document, body)) if text]


def check_run(
    github: GitHub,
    check: Check,
    document: VerdictDocument,
    body: str,
    *,
    started: int | None,
    warnings: Sequence[str] = (),
) -> str:
    """Finish the check run that was started, or a new one if the token may. Returns a warning, or "".

    `warnings` are GitHub's earlier refusals: without a comment, users look here.
    """
    _, refusal = _attempt(lambda: _finish(github, check, document, body, started=started, warnings=warnings), None)
    return refusal


def contradicting_check_run(github: GitHub, check: Check, document: VerdictDocument) -> str:
    """A line about a check run that shows another verdict, since only the App that made it can change it, or ""."""
    if not check.has_status:
        return ""
    name, commit = check_runs.NAME.format(check.check_name), document["told_at"]
    shown, _ = _attempt(lambda: check_runs.latest_conclusions(github, commit=commit, name=name), set[str]())
    if shown <= {_check_conclusion(document)}:
        return ""
    return (
        f"The check run `{name}` still shows the verdict of an earlier run, because only the App that made it can "
        "change it. The commit status shows this one."
    )


def _check_conclusion(document: VerdictDocument) -> str:
    return "neutral" if verdicts.is_let_pass(document) else CONCLUSIONS[document["state"]]


def _finish(
    github: GitHub,
    check: Check,
    document: VerdictDocument,
    body: str,
    *,
    started: int | None,
    warnings: Sequence[str],
) -> None:
    if not check.has_status:
        return
    url = document["pipeline"]["url"]
    name = check_runs.NAME.format(check.check_name)
    run = started or check_runs.start(github, commit=document["told_at"], name=name, url=url)
    if run is not None:
        conclusion = _check_conclusion(document)
        end = markdown.warnings_block(warnings)
        title = f"{document['outcome'].words}: {document['exit_reason']}"
        check_runs.finish(github, run, conclusion=conclusion, title=title, summary=body, url=url, end=end)


def status_description(document: VerdictDocument) -> str:
    """The verdict in the words of a commit status."""
    return verdict_sentence.fitted(document, statuses.DESCRIPTION_LIMIT)


def _comment(github: GitHub, check: Check, document: VerdictDocument, body: str) -> tuple[str, str]:
    """Post the comment: its address, and a warning if the pull request has moved on."""
    pull = check.pull_request
    if check.group:  # its commit is no pull request's head
        return "", ""
    if check.action != "check":
        return _comment_line(github, check, document, body), ""
    head = pull_requests.read(github, pull.number).head_sha
    if head != check.commit:
        return "", f"pull request #{pull.number} has moved on to {head[:10]}: its comment is left to the new head"
    url = pull_request_comment.upsert(
        github,
        pull_request=pull.number,
        commit=check.commit,
        marker=comment.marker(pull.repository, pull.number, check.name),
        body=body,
        mode=check.comment,
        failure=document["exit_code"] != 0,
    )
    return url, ""


def _comment_line(github: GitHub, check: Check, document: VerdictDocument, body: str) -> str:
    """Add what happened after the merge as a line to the check's own comment, which stays as it is."""
    pull = check.pull_request
    return pull_request_comment.edit(
        github,
        pull_request=pull.number,
        marker=comment.marker(pull.repository, pull.number, check.name),
        change=lambda earlier: comment.with_line(earlier or body, document),
        mode=check.comment,
        failure=document["exit_code"] != 0,
    )


def _status(github: GitHub, check: Check, document: VerdictDocument) -> str:
    """Set the commit status: its address, or "" if the verdict is about no commit."""
    if not check.has_status:
        return ""
    return statuses.create(
        github,
        commit=document["told_at"],
        name=check.check_name,
        state=document["state"],
        description=status_description(document),
        url=document["pipeline"]["url"],
    )


def _attempt(request: Callable[[], T], default: T) -> tuple[T, str]:
    """The request's result, or the default and GitHub's refusal."""
    try:
        return request(), ""
    except GitHubError as error:
        return default, str(error)
