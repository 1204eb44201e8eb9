"""Issues; a pull request is an issue too."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import access, conversation_shapes, errors, labels, request_parsing, timeline
from sandbox.servers.github_server.store import Issue, Repository, now

blueprint = Blueprint("issues", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]


@blueprint.get("/issues")
def list_issues(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, "issues")
    newest_first = request.args.get("direction", "desc") == "desc"
    found = sorted(filter(_matches, repo.issues.values()), key=_order, reverse=newest_first)
    return request_parsing.page(found, lambda issue: conversation_shapes.issue(repo, issue))


def _order(issue: Issue) -> tuple[str, int]:
    return (issue.updated if request.args.get("sort") == "updated" else "", issue.number)


def _matches(issue: Issue) -> bool:
    filters = request.args
    named = {label.strip().lower() for label in filters.get("labels", "").split(",") if label.strip()}
    return (
        filters.get("state", "open") in ("all", issue.state)
        and named <= {label.lower() for label in issue.labels}
        and filters.get("creator", issue.author).lower() == issue.author.lower()
        and issue.updated >= filters.get("since", "")
    )


@blueprint.post("/issues")
def create_issue(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "issues", least="read")
    given = request_parsing.body()
    [title] = request_parsing.required(given, "title")
    issue = opened(repo, "Issue", title, request_parsing.limited(given, "Issue"))
    if access.reaches(repo, "triage"):  # GitHub drops the labels of others without a word
        labels.change(repo, issue, labels.names(given.get("labels") or []))
    return jsonify(conversation_shapes.issue(repo, issue)), 201


def opened(repo: Repository, resource: str, title: str, body: str) -> Issue:
    """A new issue, with the next number of the repository."""
    if not title.strip():
        raise errors.invalid(resource, "title", code="missing_field")
    if len(title) > 256:
        raise errors.invalid(resource, "title", code="custom", message="title is too long (maximum is 256 characters)")
    issue = Issue(access.store().new_id(), max(repo.issues, default=0) + 1, access.token().login, title, body)
    repo.issues[issue.number] = issue
    return issue


@blueprint.get("/issues/<int:number>")
def get_issue(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    return jsonify(conversation_shapes.issue(repo, access.issue(repo, number)))


@blueprint.patch("/issues/<int:number>")
def edit_issue(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    issue, given = access.issue(repo, number), request_parsing.body()
    edited(repo, issue, given)
    if given.get("labels") is not None:
        labels.change(repo, issue, labels.names(given["labels"]))
    return jsonify(conversation_shapes.issue(repo, issue))


def edited(repo: Repository, issue: Issue, given: dict[str, Any]) -> None:
    """Title, body and state, by its author and by those who may triage."""
    mine = issue.author == access.token().login
    access.need_write(repo, *access.EITHER, least="read" if mine else "triage")
    resource = "PullRequest" if issue.number in repo.pulls else "Issue"
    title = request_parsing.text(given, "title", issue.title)
    state = request_parsing.text(given, "state", issue.state)
    body = request_parsing.limited(given, resource) if "body" in given else issue.body
    if not title.strip():
        raise errors.invalid(resource, "title", code="missing_field")
    if state not in ("open", "closed"):
        raise errors.invalid(resource, "state")
    issue.title, issue.body, issue.updated = title, body, now()
    if state != issue.state:
        turned(repo, issue, state, reason=given.get("state_reason"))


def turned(repo: Repository, issue: Issue, state: str, *, reason: str | None = None) -> None:
    """Closed or opened again. A pull request keeps the head that it had when it was closed."""
    pull = repo.pulls.get(issue.number)
    if pull:
        access.refresh(access.store(), repo, pull)
    if pull and pull.merge and state == "open":
        raise errors.custom("PullRequest", "state cannot be changed. The pull request cannot be reopened.")
    closing = state == "closed"
    issue.state = state
    issue.closed, issue.closed_by = (now(), access.token().login) if closing else (None, None)
    issue.state_reason = None if pull else (reason or "completed") if closing else "reopened"
    timeline.happened(issue, "closed" if closing else "reopened")
