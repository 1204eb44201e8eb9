"""What happened to issues and pull requests, in order."""

from typing import Any

from flask import Blueprint, Response, request

from sandbox.servers.github_server import access, conversation_shapes, incoming
from sandbox.servers.github_server.store import Comment, Event, Issue, Repository

blueprint = Blueprint("history", __name__, url_prefix="/repos/<owner>/<name>/issues/<int:number>")


def happened(one: Issue, kind: str, *, label: str = "", commit: str = "") -> None:
    said = Event(access.store().new_id(), kind, access.token().login, label, commit)
    one.events.append(said)
    one.updated = said.created


@blueprint.get("/events")
@blueprint.get("/timeline")
def list_events(owner: str, name: str, number: int) -> Response:
    """The timeline holds the comments as well."""
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    one = access.issue(repo, number)
    found: list[Event | Comment] = [*one.events, *(one.comments if request.path.endswith("/timeline") else ())]
    return incoming.page(sorted(found, key=lambda said: said.id), lambda said: _shape(repo, one, said))


def _shape(repo: Repository, one: Issue, said: Event | Comment) -> dict[str, Any]:
    if isinstance(said, Event):
        return conversation_shapes.event(repo, said)
    shape = conversation_shapes.comment(repo, one, said)
    return {**shape, "event": "commented", "actor": shape["user"]}
