"""Labels of a repository, and of its issues and pull requests."""

from typing import Any

from flask import Blueprint, Response, jsonify

from sandbox.servers.github_server import access, conversation_shapes, errors, request_parsing, timeline
from sandbox.servers.github_server.store import Issue, Label, Repository

blueprint = Blueprint("labels", __name__, url_prefix="/repos/<owner>/<name>")
Answer = Response | tuple[Response, int]
COLOR = "ededed"  # of a label that came to be by its use


@blueprint.get("/labels")
def list_labels(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, "issues", "pull_requests")
    return request_parsing.page(sorted(repo.labels), lambda label: conversation_shapes.label(repo, label))


@blueprint.post("/labels")
def create_label(owner: str, name: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "issues", "pull_requests")
    given = request_parsing.body()
    [label] = request_parsing.required(given, "name")
    if label.lower() in repo.labels:
        raise errors.invalid("Label", "name", code="already_exists")
    color = request_parsing.text(given, "color", COLOR)
    repo.labels[label.lower()] = Label(access.store().new_id(), label, color, given.get("description"))
    return jsonify(conversation_shapes.label(repo, label)), 201


@blueprint.get("/labels/<path:label>")
def get_label(owner: str, name: str, label: str) -> Answer:
    repo = access.repository(owner, name)
    if label.lower() not in repo.labels:
        raise errors.not_found()
    return jsonify(conversation_shapes.label(repo, label))


@blueprint.delete("/labels/<path:label>")
def delete_label(owner: str, name: str, label: str) -> Answer:
    repo = access.repository(owner, name)
    access.need_write(repo, "issues", "pull_requests")
    if repo.labels.pop(label.lower(), None) is None:
        raise errors.not_found()
    for issue in repo.issues.values():
        issue.labels = [held for held in issue.labels if held.lower() != label.lower()]
    return Response(status=204)


@blueprint.get("/issues/<int:number>/labels")
def list_issue_labels(owner: str, name: str, number: int) -> Answer:
    repo = access.repository(owner, name)
    access.need_read(repo, *access.EITHER)
    return request_parsing.page(access.issue(repo, number).labels, lambda label: conversation_shapes.label(repo, label))


@blueprint.post("/issues/<int:number>/labels")
def add_labels(owner: str, name: str, number: int) -> Answer:
    repo, issue = _labelled(owner, name, number)
    return _changed(repo, issue, [*issue.labels, *_given()])


@blueprint.put("/issues/<int:number>/labels")
def set_labels(owner: str, name: str, number: int) -> Answer:
    repo, issue = _labelled(owner, name, number)
    return _changed(repo, issue, _given())


@blueprint.delete("/issues/<int:number>/labels")
def clear_labels(owner: str, name: str, number: int) -> Answer:
    repo, issue = _labelled(owner, name, number)
    change(repo, issue, [])
    return Response(status=204)


@blueprint.delete("/issues/<int:number>/labels/<path:label>")
def remove_label(owner: str, name: str, number: int, label: str) -> Answer:
    repo, issue = _labelled(owner, name, number)
    kept = [held for held in issue.labels if held.lower() != label.lower()]
    if kept == issue.labels:
        raise errors.ApiError(404, "Label does not exist")
    return _changed(repo, issue, kept)


def _labelled(owner: str, name: str, number: int) -> tuple[Repository, Issue]:
    repo = access.repository(owner, name)
    issue = access.issue(repo, number)
    access.need_write(repo, *access.EITHER, least="triage")
    return repo, issue


def _given() -> list[str]:
    """Return the names in the request: GitHub takes a list, and a list in an object."""
    given = request_parsing.anything()
    return names(given.get("labels", []) if isinstance(given, dict) else given)


def names(given: Any) -> list[str]:
    """Return the names of a list of names, or of objects with a name."""
    if not isinstance(given, list):
        raise errors.ApiError(422, "Invalid request.\n\nFor 'properties/labels', it is not an array.")
    found = [item.get("name") if isinstance(item, dict) else item for item in given]
    if not all(isinstance(name, str) and name.strip() for name in found):
        raise errors.invalid("Label", "name")
    return [str(name) for name in found]


def _changed(repo: Repository, issue: Issue, chosen: list[str]) -> Response:
    change(repo, issue, chosen)
    return jsonify([conversation_shapes.label(repo, name) for name in issue.labels])


def change(repo: Repository, issue: Issue, labels: list[str]) -> None:
    """Give the issue these labels and no others; unknown ones are created. Each change is an event."""
    for name in labels:
        repo.labels.setdefault(name.lower(), Label(access.store().new_id(), name, COLOR))
    after = {name.lower(): repo.labels[name.lower()].name for name in labels}
    before = {name.lower(): name for name in issue.labels}
    issue.labels = list(after.values())
    for key in before.keys() - after.keys():
        timeline.happened(issue, "unlabeled", label=before[key])
    for key in after:
        if key not in before:
            timeline.happened(issue, "labeled", label=after[key])
