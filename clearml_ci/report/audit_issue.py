"""The audit's issue: Markdown from a verdict document."""

from collections.abc import Callable, Sequence

from clearml_ci.core.documents import AuditVerdict, FindingDocument, SubjectDocument
from clearml_ci.core.formatting import capital, count
from clearml_ci.core.outcome import Outcome
from clearml_ci.decisions.audit_findings import FINDING
from clearml_ci.report import comment_sections
from clearml_ci.report.markdown import MOST_WARNINGS, alert, escape, fitted, fold, hidden, table

LIMIT = 65_536  # characters of a GitHub issue; one more is refused with 422


_TITLES = {
    Outcome.PASSED: "all is well",
    Outcome.INCONCLUSIVE: "it could not look at everything",
    Outcome.ERROR: "it could not be done",
}


_HEADERS = ("what", "where", "seen", "what to do")


def marker(repository: str, name: str = "") -> str:
    """The hidden first line by which a repository's one issue is found again; each name of an audit has its own."""
    return f"<!-- clearml-ci audit: {repository}{hidden(name)} -->"


def title(verdict: AuditVerdict) -> str:
    """What the issue is called, short enough for GitHub's 256 characters; an audit's name stands in it as it is."""
    return _titled(verdict, verdict.get("name", ""))  # that of an older version's run has none


def _titled(verdict: AuditVerdict, name: str) -> str:
    found = len(_of(verdict, finding=True))
    said = _TITLES.get(verdict["outcome"], count(found, "finding"))
    return f"ClearML CI audit: {f'{name} · ' if name else ''}{said}"


def issue(verdict: AuditVerdict) -> str:
    """The whole text, never longer than GitHub takes: what gives way first are the notes, then the last findings."""
    head, tail = "\n\n".join(_head(verdict)), f"[pipeline run]({verdict['pipeline']['url']})"
    room = LIMIT - len(head) - len(tail) - 100
    parts: list[str] = []
    by_weight: list[Callable[[int], str]] = [
        lambda left: _table(_of(verdict, finding=True), left),
        lambda left: _console(verdict, left),
        lambda left: fitted(_warnings(verdict), left, "\n\n".join),
        lambda left: _notes(_of(verdict, finding=False), left),
    ]
    for part in by_weight:
        text = part(room)
        parts += [text] if text else []
        room -= len(text) + 2
    return "\n\n".join([head, *parts, tail]) + "\n"


def _head(verdict: AuditVerdict) -> list[str]:
    looked = verdict["audited"]
    reason = verdict["exit_reason"].strip().rstrip(".")
    of = f" Looked at {count(looked['bests'], 'best')} in {count(looked['projects'], 'project')}." if looked else ""
    commit = f" main: `{verdict['commit'][:10]}`." if verdict["commit"] else ""
    return [
        marker(verdict["repository"], verdict["name"]),
        f"### {verdict['outcome'].sign} {_titled(verdict, escape(verdict['name']))}",
        *([f"↻ {escape(capital(verdict['rerun']['said']))}."] if verdict["rerun"] else []),
        f"{escape(capital(reason))}.{of}{commit}",
    ]


def _of(verdict: AuditVerdict, *, finding: bool) -> list[FindingDocument]:
    return [one for one in verdict["findings"] if (one["severity"] == FINDING) == finding]


def _table(findings: Sequence[FindingDocument], room: int) -> str:
    def render(kept: Sequence[FindingDocument]) -> str:
        rows = [(_kind(one), _where(one["where"]), escape(one["said"]), escape(one["do"])) for one in kept]
        left_out = len(findings) - len(kept)
        more = f"\n\n{count(left_out, 'more finding')} in the verdict." if left_out else ""
        return table(rows, _HEADERS, align=("left",) * 4) + more

    return fitted(findings, room, render)


def _notes(notes: Sequence[FindingDocument], room: int) -> str:
    summary = count(len(notes), "note")
    body = _table(notes, room - len(fold(summary, "")))
    return fold(summary, body) if body else ""


def _console(verdict: AuditVerdict, room: int) -> str:
    """Where main's head does not run on an agent, the last lines of its console."""
    remote = verdict["remote_run"]
    return comment_sections.console(remote["log_tail"], room) if remote and remote["outcome"] != Outcome.PASSED else ""


def _warnings(verdict: AuditVerdict) -> list[str]:
    return [alert(warning) for warning in verdict["warnings"][:MOST_WARNINGS]]


def _kind(finding: FindingDocument) -> str:
    return escape(finding["kind"].replace("_", " "))


def _where(where: SubjectDocument) -> str:
    return f"[{escape(where['name'])}]({where['url']})" if where["url"] else escape(where["name"])
