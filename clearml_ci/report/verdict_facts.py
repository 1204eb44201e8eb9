"""The facts of a verdict: its sentence, and the pages to read on."""

from collections.abc import Iterator
from dataclasses import dataclass

from clearml_ci.core.documents import AuditVerdict, PromotionDocument, RemoteRunDocument, VerdictDocument
from clearml_ci.core.formatting import capitalize_first, count
from clearml_ci.decisions import verdict as verdicts
from clearml_ci.report import audit_issue, comment, facts
from clearml_ci.report.facts import Fact
from clearml_ci.report.markdown import MOST_WARNINGS


@dataclass(frozen=True)
class Pages:
    """The addresses on GitHub of a verdict, each "" if there is none; `comment` is an audit's issue."""

    pull_request: str = ""
    comment: str = ""


def headline(verdict: VerdictDocument) -> str:
    """`❌ ClearML CI: regressed · a gate fails`."""
    if verdicts.is_audit(verdict):
        return f"{verdict['outcome'].sign} {audit_issue.title(verdict)}"
    return f"{comment.headline(verdict)} · {comment.summary(verdict)}"


def of_verdict(verdict: VerdictDocument, pages: Pages) -> list[Fact]:
    """The verdict, the reason, and links to what it is about."""
    return [
        Fact("Verdict", headline(verdict)),
        Fact("Reason", comment.sentence(verdict)),
        *_rerun(verdict),
        *_promotion(verdict["promotion"]),
        *(_audited(verdict) if verdicts.is_audit(verdict) else _pull_request(verdict, pages)),
        *_comment(verdict, pages),
        Fact("Commit", verdict["commit"]),
        *_tasks(verdict),
        *_remote_run(verdict["remote_run"]),
        *facts.listed("Warning", verdict["warnings"], most=MOST_WARNINGS),
    ]


def _rerun(verdict: VerdictDocument) -> Iterator[Fact]:
    if verdict["rerun"]:
        yield Fact("Rerun", facts.sentence(verdict["rerun"]["said"]))


def _promotion(promotion: PromotionDocument | None) -> Iterator[Fact]:
    if promotion is None:
        return
    tag = f"The tag '{promotion['tag']}'"
    if not promotion["moved"]:
        yield Fact("Baseline", f"{tag} stays.")
        return
    before = ", ".join(promotion["from"]) or "no task"
    yield Fact("Baseline", f"{tag} moved from {before} to {promotion['to'] or 'no task'}.")


def _audited(verdict: AuditVerdict) -> Iterator[Fact]:
    if audited := verdict["audited"]:
        yield Fact("Checked", f"{count(audited['bests'], 'baseline')} in {count(audited['projects'], 'project')}.")


def _pull_request(verdict: VerdictDocument, pages: Pages) -> Iterator[Fact]:
    if verdict["pull_request"]:
        yield Fact("Pull request", f"{verdict['repository']}#{verdict['pull_request']}", pages.pull_request)


def _comment(verdict: VerdictDocument, pages: Pages) -> Iterator[Fact]:
    if pages.comment:
        yield Fact("Issue" if verdicts.is_audit(verdict) else "Comment", pages.comment, pages.comment)


def _tasks(verdict: VerdictDocument) -> Iterator[Fact]:
    for label, task in (
        ("Candidate", verdict["candidate"]),
        ("Compared with", verdict["baseline"]),
        ("Base branch", verdict["main_baseline"]),
    ):
        if task:
            yield facts.of_task(label, task)


def _remote_run(remote: RemoteRunDocument | None) -> Iterator[Fact]:
    if remote is None:
        return
    phase = f", phase {remote['phase']}" if remote["phase"] else ""
    reason = f": {remote['reason']}" if remote["reason"] else ""
    text = capitalize_first(f"{remote['outcome'].words}{phase}{reason}")
    yield Fact("Remote run", text, remote["task"]["url"] if remote["task"] else "")
