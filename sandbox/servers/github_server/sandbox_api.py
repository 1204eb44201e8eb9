"""The sandbox's own API, below a path that the real GitHub does not have: tokens, Apps, faults, event payloads.

POST /_sandbox/tokens               {"kind", "repository", "login", "permissions"} → {"token"}
POST /_sandbox/apps                 {"slug", "permissions", "repository", "token_lifetime"} → {"app_id", "private_key"}
POST /_sandbox/faults               {"method", "path"}: the reply to the next such request is lost, with its connection
POST /_sandbox/merge_groups         {"repository", "number", "after", "method"}: a pull request comes into the queue, on
                                    top of the commit of the group before it, `after` → the event of its group
POST /_sandbox/merge_groups/end     {"repository", "branch", "reason"}: GitHub deletes its branch → the event
GET  /_sandbox/events/pull_request  ?repository=&number=&action= → the payload that GitHub sends to a workflow
GET  /_sandbox/events/issue_comment ?repository=&number=&comment= → the same for a comment that was just written

Those with POST take the owner's token. A fault's path is how the request's path ends, such as `/comments`.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import (
    access,
    apps,
    conversation_shapes,
    errors,
    merge_groups,
    merging,
    request_parsing,
    shapes,
)
from sandbox.servers.github_server.store import OWNER, Issue, Pull, Repository

blueprint = Blueprint("sandbox", __name__, url_prefix="/_sandbox")
Answer = Response | tuple[Response, int]


@blueprint.post("/tokens")
def create_token() -> Answer:
    given = _from_owner()
    [kind] = request_parsing.required(given, "kind")
    repository = request_parsing.text(given, "repository") or None
    login, permissions = request_parsing.text(given, "login", OWNER), given.get("permissions")
    try:
        token = access.store().mint(kind, repository=repository, login=login, permissions=permissions)
    except ValueError as error:
        raise errors.ApiError(422, str(error)) from error
    return jsonify({"token": token}), 201


@blueprint.post("/apps")
def create_app() -> Answer:
    given = _from_owner()
    [slug] = request_parsing.required(given, "slug")
    repository, lifetime = request_parsing.text(given, "repository") or None, given.get("token_lifetime", apps.LIFETIME)
    try:
        app_id, private_key = apps.register(
            access.store(), slug, permissions=given.get("permissions"), repository=repository, token_lifetime=lifetime
        )
    except ValueError as error:
        raise errors.ApiError(422, str(error)) from error
    return jsonify({"app_id": app_id, "private_key": private_key}), 201


@blueprint.post("/faults")
def order_fault() -> Answer:
    method, path = request_parsing.required(_from_owner(), "method", "path")
    access.store().replies_to_lose.append((method.upper(), path))
    return Response(status=204)


def _from_owner() -> dict[str, Any]:
    """The body of the owner's request."""
    access.authenticate()
    if access.token().login != OWNER or access.person().repositories is not None:
        raise errors.forbidden(access.token().kind)
    return request_parsing.body()


@blueprint.get("/events/pull_request")
def pull_request_event() -> Answer:
    repo, number = _repository(request.args.get("repository", "")), request.args.get("number", 0, int)
    return jsonify(_payload(repo, access.pull(repo, number), request.args.get("action", "opened")))


@blueprint.post("/merge_groups")
def create_merge_group() -> Answer:
    given = _from_owner()
    full_name, number = request_parsing.required(given, "repository", "number")
    repo = _repository(full_name)
    after, method = request_parsing.text(given, "after"), request_parsing.text(given, "method", "merge")
    if method not in merging.METHODS:
        raise errors.ApiError(422, f"no merge method '{method}'")
    group = merge_groups.create(repo, access.pull(repo, int(number)), after=after, method=method, login=OWNER)
    return jsonify(group), 201


@blueprint.post("/merge_groups/end")
def end_merge_group() -> Answer:
    given = _from_owner()
    full_name, branch = request_parsing.required(given, "repository", "branch")
    reason = request_parsing.text(given, "reason", "dequeued")
    return jsonify(merge_groups.dismiss(_repository(full_name), branch, reason=reason, login=OWNER))


def _repository(full_name: str) -> Repository:
    repo = access.store().repositories.get(full_name.lower())
    if repo is None:
        raise errors.not_found()
    return repo


@blueprint.get("/events/issue_comment")
def issue_comment_event() -> Answer:
    repo, number = _repository(request.args.get("repository", "")), request.args.get("number", 0, int)
    issue = access.issue(repo, number)
    written = next((each for each in issue.comments if each.id == request.args.get("comment", 0, int)), None)
    if written is None:
        raise errors.not_found()
    return jsonify(
        {
            "action": "created",
            "issue": conversation_shapes.issue(repo, issue),
            "comment": conversation_shapes.comment(repo, issue, written),
            "repository": shapes.repository(repo),
            "sender": shapes.user(written.author),
        }
    )


def _payload(repo: Repository, pull: Pull, action: str) -> dict[str, Any]:
    payload = {
        "action": action,
        "number": pull.issue.number,
        "pull_request": conversation_shapes.whole_pull(repo, pull),
        "repository": shapes.repository(repo),
        "sender": shapes.user(_sender(pull.issue, action)),
    }
    if action == "synchronize":
        return {**payload, "before": pull.previous_head_sha or pull.base_sha, "after": pull.head_sha}
    if action in ("labeled", "unlabeled"):
        return {**payload, "label": _label(repo, pull.issue, action)}
    return payload


def _sender(issue: Issue, action: str) -> str:
    """Return the login of the last such event, or the author's if there is none."""
    return next((event.actor for event in reversed(issue.events) if event.kind == action), issue.author)


def _label(repo: Repository, issue: Issue, action: str) -> dict[str, Any]:
    named = [event.label for event in issue.events if event.kind == action and event.label.lower() in repo.labels]
    if not named:
        raise errors.ApiError(422, f"#{issue.number} was never {action}")
    return conversation_shapes.label(repo, named[-1])
