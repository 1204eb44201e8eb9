"""The events of issues and pull requests, in order."""

from typing import Any

from flask import Blueprint, Response, request

from sandbox.servers.github_server import access, conversation_shapes, request_parsing
from sandbox.servers.github_server.store import Comment, Event, Issue, Repository

blueprint = Blueprint("timeline", __name__, url_prefix="/repos/<owner>/<name>/issues/<int:number>")


def happened(issue: Issue, kind: str, *, label: str = "", commit: str = "") -> None:
    event = Event(access.store().new_id(), kind, access.token().login, label, commit)
    issue.events.append(event)
    issue.updated = event.created


@blueprint.get("/events")
@blueprint.get("/timeline")
def list_events(owner: str, name: str, number: int) -> Response:
    """The timeline holds the comments as well."""
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    issue = access.issue(repo, number)
    found: list[Event | Comment] = [*issue.events, *(issue.comments if request.path.endswith("/timeline") else ())]
    return request_parsing.page(sorted(found, key=lambda entry: entry.id), lambda entry: _shape(repo, issue, entry))


def _shape(repo: Repository, issue: Issue, entry: Event | Comment) -> dict[str, Any]:
    if isinstance(entry, Event):
        return conversation_shapes.event(repo, entry)
    shape = conversation_shapes.comment(repo, issue, entry)
    return {**shape, "event": "commented", "actor": shape["user"]}
