"""Notes of an audit: the losses that users accepted lately. A note turns no verdict."""

from collections.abc import Iterable

from clearml_ci.core import moment
from clearml_ci.core.documents import AcceptedDocument, AcceptedEntry
from clearml_ci.decisions.audit_findings import NOTE, Finding, Subject

LISTED = 90 * 86_400.0  # seconds


_MOST = 50


def notes(entries: Iterable[AcceptedEntry], *, now: float) -> list[Finding]:
    """A note for each comment and gate of the last 90 days, newest first; entries are, too, and reruns repeat some."""
    found: dict[tuple[str, str], Finding] = {}
    for entry in entries:
        for accepted in entry["accepted"]:
            at = moment.parse(str(accepted["at"]))
            if at and now - at.timestamp() <= LISTED:
                found.setdefault((accepted["comment"], accepted["metric"]), _note(entry, accepted))
    return list(found.values())[:_MOST]


def _note(entry: AcceptedEntry, accepted: AcceptedDocument) -> Finding:
    value, day = f"{accepted['value']:.6g}", str(accepted["at"])[:10]
    where = f"pull request #{entry['pull_request']}"
    return Finding(
        "accepted_loss",
        NOTE,
        Subject("check", f"{where} at {entry['commit'][:10]}", str(entry["url"])),
        f"{accepted['metric']} of {value} was accepted by {accepted['by']} on {day}: {accepted['reason']}",
        "look whether the loss is still worth it",
    )
