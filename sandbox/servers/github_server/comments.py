"""Comments on issues and pull requests."""

from flask import Blueprint, Response, jsonify

from sandbox.servers.github_server import access, conversation_shapes, incoming, refusals
from sandbox.servers.github_server.store import Comment, Issue, Repository, now

blueprint = Blueprint("comments", __name__, url_prefix="/repos/<owner>/<name>/issues")
Answer = Response | tuple[Response, int]


@blueprint.get("/<int:number>/comments")
def list_comments(owner: str, name: str, number: int) -> Answer:
    """Oldest first, 30 to a page unless told otherwise."""
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    one = access.issue(repo, number)
    return incoming.page(one.comments, lambda said: conversation_shapes.comment(repo, one, said))


@blueprint.post("/<int:number>/comments")
def create_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    one = access.issue(repo, number)
    access.need_write(repo, *access.EITHER, least="read")
    said = Comment(access.store().new_id(), access.token().login, _body(created=True))
    one.comments.append(said)
    one.updated = said.created
    return jsonify(conversation_shapes.comment(repo, one, said)), 201


@blueprint.get("/comments/<int:comment>")
def get_comment(owner: str, name: str, comment: int) -> Answer:
    repo = access.repository(owner, name)
    one, said = _found(repo, comment)
    access.need_read(repo, *access.EITHER)
    return jsonify(conversation_shapes.comment(repo, one, said))


@blueprint.patch("/comments/<int:comment>")
def edit_comment(owner: str, name: str, comment: int) -> Answer:
    repo = access.repository(owner, name)
    one, said = _changeable(repo, comment)
    said.body, said.updated = _body(created=False), now()
    return jsonify(conversation_shapes.comment(repo, one, said))


@blueprint.delete("/comments/<int:comment>")
def delete_comment(owner: str, name: str, comment: int) -> Answer:
    one, said = _changeable(access.repository(owner, name), comment)
    one.comments.remove(said)
    return Response(status=204)


def _body(*, created: bool) -> str:
    given = incoming.body()
    incoming.required(given, "body")
    body = incoming.limited(given, "IssueComment", created=created)
    if not body.strip():
        raise refusals.invalid("IssueComment", "data", code="unprocessable", message="Body can't be blank")
    return body


def _changeable(repo: Repository, comment: int) -> tuple[Issue, Comment]:
    """One's own comment; those of others only with write access."""
    one, said = _found(repo, comment)
    mine = said.author == access.token().login
    access.need_write(repo, *access.EITHER, least="read" if mine else "write")
    return one, said


def _found(repo: Repository, comment: int) -> tuple[Issue, Comment]:
    for one in repo.issues.values():
        for said in one.comments:
            if said.id == comment:
                return one, said
    raise refusals.not_found()
