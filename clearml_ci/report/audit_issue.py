"""The issue of an audit: Markdown from a verdict document."""

from collections.abc import Callable, Sequence

from clearml_ci.core.documents import AuditVerdict, FindingDocument, SubjectDocument
from clearml_ci.core.formatting import capitalize_first, count
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions.audit_findings import FINDING, kind_in_words
from clearml_ci.report import comment_sections
from clearml_ci.report.markdown import (
    MOST_WARNINGS,
    alert,
    encode_marker_name,
    escape,
    fit_rows,
    fold,
    join_parts,
    table,
)

LIMIT = 65_536  # characters of a GitHub issue; one more is refused with 422


_TITLES = {
    Outcome.PASSED: "no findings",
    Outcome.INCONCLUSIVE: "incomplete",
    Outcome.ERROR: "could not run",
}


_HEADERS = ("finding", "about", "message", "what to do")


def marker(repository: str, name: str = "") -> str:
    """The hidden first line by which the one issue of a repository, and of an audit's name, is found again."""
    return f"<!-- clearml-ci audit: {repository}{encode_marker_name(name)} -->"


def title(verdict: AuditVerdict) -> str:
    """The title of the issue, within GitHub's 256 characters; the audit's name is not escaped."""
    return _titled(verdict, verdict.get("name", ""))  # that of an older version's run has none


def _titled(verdict: AuditVerdict, name: str) -> str:
    findings = count(len(_of(verdict, finding=True)), "finding")
    summary = _TITLES.get(verdict["outcome"], findings)
    return f"ClearML CI audit: {f'{name} · ' if name else ''}{summary}"


def issue(verdict: AuditVerdict) -> str:
    """The whole text, never longer than GitHub accepts: notes are shortened first, then the last findings."""
    head, tail = "\n\n".join(_head(verdict)), _link(verdict)
    room = LIMIT - len(head) - len(tail) - 100
    parts: list[Callable[[int], str]] = [
        lambda left: _table(_of(verdict, finding=True), left),
        lambda left: _console(verdict, left),
        lambda left: fit_rows(_warnings(verdict), left, "\n\n".join),
        lambda left: _notes(_of(verdict, finding=False), left),
    ]
    return join_parts(head, parts, tail, room=room)


def _link(verdict: AuditVerdict) -> str:
    url = verdict["pipeline"]["url"]
    return f"[pipeline run]({url})" if url else "No pipeline run was started."


def _head(verdict: AuditVerdict) -> list[str]:
    audited = verdict["audited"]
    reason = verdict["exit_reason"].strip().rstrip(".")
    scope = (
        f" Checked {count(audited['bests'], 'baseline')} in {count(audited['projects'], 'project')}." if audited else ""
    )
    commit = f" Default branch: `{verdict['commit'][:10]}`." if verdict["commit"] else ""
    return [
        marker(verdict["repository"], verdict["name"]),
        f"### {verdict['outcome'].sign} {_titled(verdict, escape(verdict['name']))}",
        *([f"↻ {escape(capitalize_first(verdict['rerun']['said']))}."] if verdict["rerun"] else []),
        f"{escape(capitalize_first(reason))}.{scope}{commit}",
    ]


def _of(verdict: AuditVerdict, *, finding: bool) -> list[FindingDocument]:
    return [found for found in verdict["findings"] if (found["severity"] == FINDING) == finding]


def _table(findings: Sequence[FindingDocument], room: int) -> str:
    def render(kept: Sequence[FindingDocument]) -> str:
        rows = [_row(finding) for finding in kept]
        left_out = len(findings) - len(kept)
        more = f"\n\n{count(left_out, 'more finding')} in the verdict." if left_out else ""
        return table(rows, _HEADERS, align=("left",) * 4) + more

    return fit_rows(findings, room, render)


def _row(finding: FindingDocument) -> tuple[str, ...]:
    kind = escape(kind_in_words(finding["kind"]))
    return kind, _subject(finding["where"]), escape(finding["said"]), escape(finding["do"])


def _notes(notes: Sequence[FindingDocument], room: int) -> str:
    summary = count(len(notes), "note")
    body = _table(notes, room - len(fold(summary, "")))
    return fold(summary, body) if body else ""


def _console(verdict: AuditVerdict, room: int) -> str:
    """The last lines of the console if the default branch's head did not run on an agent."""
    remote = verdict["remote_run"]
    return comment_sections.console(remote["log_tail"], room) if remote and remote["outcome"] != Outcome.PASSED else ""


def _warnings(verdict: AuditVerdict) -> list[str]:
    return [alert(warning) for warning in verdict["warnings"][:MOST_WARNINGS]]


def _subject(subject: SubjectDocument) -> str:
    return f"[{escape(subject['name'])}]({subject['url']})" if subject["url"] else escape(subject["name"])
