"""Comments on issues and pull requests."""

from flask import Blueprint, Response, jsonify

from sandbox.servers.github_server import access, conversation_shapes, errors, request_parsing
from sandbox.servers.github_server.store import Comment, Issue, Repository, now

blueprint = Blueprint("comments", __name__, url_prefix="/repos/<owner>/<name>/issues")
Answer = Response | tuple[Response, int]


@blueprint.get("/<int:number>/comments")
def list_comments(owner: str, name: str, number: int) -> Answer:
    """List comments, oldest first, 30 to a page unless the request names another size."""
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    issue = access.issue(repo, number)
    return request_parsing.page(issue.comments, lambda comment: conversation_shapes.comment(repo, issue, comment))


@blueprint.post("/<int:number>/comments")
def create_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    issue = access.issue(repo, number)
    access.need_write(repo, *access.EITHER, least="read")
    comment = Comment(access.store().new_id(), access.token().login, _body(created=True))
    issue.comments.append(comment)
    issue.updated = comment.created
    return jsonify(conversation_shapes.comment(repo, issue, comment)), 201


@blueprint.get("/comments/<int:number>")
def get_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    issue, comment = _found(repo, number)
    access.need_read(repo, *access.EITHER)
    return jsonify(conversation_shapes.comment(repo, issue, comment))


@blueprint.patch("/comments/<int:number>")
def edit_comment(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    issue, comment = _changeable(repo, number)
    comment.body, comment.updated = _body(created=False), now()
    return jsonify(conversation_shapes.comment(repo, issue, comment))


@blueprint.delete("/comments/<int:number>")
def delete_comment(owner: str, name: str, number: int) -> Answer:
    issue, comment = _changeable(access.repository(owner, name), number)
    issue.comments.remove(comment)
    return Response(status=204)


def _body(*, created: bool) -> str:
    given = request_parsing.body()
    request_parsing.required(given, "body")
    body = request_parsing.limited(given, "IssueComment", created=created)
    if not body.strip():
        raise errors.invalid("IssueComment", "data", code="unprocessable", message="Body can't be blank")
    return body


def _changeable(repo: Repository, number: int) -> tuple[Issue, Comment]:
    """Return an own comment; those of others only with write access."""
    issue, comment = _found(repo, number)
    mine = comment.author == access.token().login
    access.need_write(repo, *access.EITHER, least="read" if mine else "write")
    return issue, comment


def _found(repo: Repository, number: int) -> tuple[Issue, Comment]:
    for issue in repo.issues.values():
        for comment in issue.comments:
            if comment.id == number:
                return issue, comment
    raise errors.not_found()
