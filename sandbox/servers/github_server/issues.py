"""Issues; a pull request is an issue too."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import access, conversation_shapes, history, incoming, labels, refusals
from sandbox.servers.github_server.store import Issue, Repository, now

blueprint = Blueprint("issues", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]


@blueprint.get("/issues")
def list_issues(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, "issues")
    newest_first = request.args.get("direction", "desc") == "desc"
    found = sorted(filter(_wanted, repo.issues.values()), key=_order, reverse=newest_first)
    return incoming.page(found, lambda one: conversation_shapes.issue(repo, one))


def _order(one: Issue) -> tuple[str, int]:
    return (one.updated if request.args.get("sort") == "updated" else "", one.number)


def _wanted(one: Issue) -> bool:
    asked = request.args
    named = {label.strip().lower() for label in asked.get("labels", "").split(",") if label.strip()}
    return (
        asked.get("state", "open") in ("all", one.state)
        and named <= {label.lower() for label in one.labels}
        and asked.get("creator", one.author).lower() == one.author.lower()
        and one.updated >= asked.get("since", "")
    )


@blueprint.post("/issues")
def create_issue(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "issues", least="read")
    given = incoming.body()
    [title] = incoming.required(given, "title")
    one = opened(repo, "Issue", title, incoming.limited(given, "Issue"))
    if access.reaches(repo, "triage"):  # GitHub drops the labels of others without a word
        labels.change(repo, one, labels.names(given.get("labels") or []))
    return jsonify(conversation_shapes.issue(repo, one)), 201


def opened(repo: Repository, resource: str, title: str, body: str) -> Issue:
    """A new issue, with the next number of the repository."""
    if not title.strip():
        raise refusals.invalid(resource, "title", code="missing_field")
    if len(title) > 256:
        raise refusals.invalid(
            resource, "title", code="custom", message="title is too long (maximum is 256 characters)"
        )
    one = Issue(access.store().new_id(), max(repo.issues, default=0) + 1, access.token().login, title, body)
    repo.issues[one.number] = one
    return one


@blueprint.get("/issues/<int:number>")
def get_issue(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    return jsonify(conversation_shapes.issue(repo, access.issue(repo, number)))


@blueprint.patch("/issues/<int:number>")
def edit_issue(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    one, given = access.issue(repo, number), incoming.body()
    edited(repo, one, given)
    if given.get("labels") is not None:
        labels.change(repo, one, labels.names(given["labels"]))
    return jsonify(conversation_shapes.issue(repo, one))


def edited(repo: Repository, one: Issue, given: dict[str, Any]) -> None:
    """Title, body and state, by its author and by those who may triage."""
    mine = one.author == access.token().login
    access.need_write(repo, *access.EITHER, least="read" if mine else "triage")
    resource = "PullRequest" if one.number in repo.pulls else "Issue"
    title = incoming.text(given, "title", one.title)
    state = incoming.text(given, "state", one.state)
    body = incoming.limited(given, resource) if "body" in given else one.body
    if not title.strip():
        raise refusals.invalid(resource, "title", code="missing_field")
    if state not in ("open", "closed"):
        raise refusals.invalid(resource, "state")
    one.title, one.body, one.updated = title, body, now()
    if state != one.state:
        turned(repo, one, state, reason=given.get("state_reason"))


def turned(repo: Repository, one: Issue, state: str, *, reason: str | None = None) -> None:
    """Closed or opened again. A pull request keeps the head that it had when it was closed."""
    pull = repo.pulls.get(one.number)
    if pull:
        access.refresh(access.store(), repo, pull)
    if pull and pull.merge and state == "open":
        raise refusals.custom("PullRequest", "state cannot be changed. The pull request cannot be reopened.")
    closing = state == "closed"
    one.state = state
    one.closed, one.closed_by = (now(), access.token().login) if closing else (None, None)
    one.state_reason = None if pull else (reason or "completed") if closing else "reopened"
    history.happened(one, "closed" if closing else "reopened")
