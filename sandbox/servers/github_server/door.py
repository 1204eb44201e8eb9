"""The sandbox's own door, below a path that the real GitHub does not have: tokens, Apps, faults, payloads of events.

POST /_sandbox/tokens               {"kind", "repository", "login", "permissions"} → {"token"}
POST /_sandbox/apps                 {"slug", "permissions", "repository", "token_lifetime"} → {"app_id", "private_key"}
POST /_sandbox/faults               {"method", "path"}: the reply to the next such request is lost, with its connection
GET  /_sandbox/events/pull_request  ?repository=&number=&action= → what GitHub sends to a workflow

The first three take the owner's token. A fault's path is how the request's path ends, such as `/comments`.
"""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from sandbox.servers.github_server import access, apps, conversation_shapes, incoming, refusals, shapes
from sandbox.servers.github_server.store import OWNER, Issue, Pull, Repository

blueprint = Blueprint("door", __name__, url_prefix="/_sandbox")
Answer = Response | tuple[Response, int]


@blueprint.post("/tokens")
def create_token() -> Answer:
    given = _from_owner()
    [kind] = incoming.required(given, "kind")
    repository = incoming.text(given, "repository") or None
    login, permissions = incoming.text(given, "login", OWNER), given.get("permissions")
    try:
        token = access.store().mint(kind, repository=repository, login=login, permissions=permissions)
    except ValueError as error:
        raise refusals.RefusalError(422, str(error)) from error
    return jsonify({"token": token}), 201


@blueprint.post("/apps")
def create_app() -> Answer:
    given = _from_owner()
    [slug] = incoming.required(given, "slug")
    repository, lifetime = incoming.text(given, "repository") or None, given.get("token_lifetime", apps.LIFETIME)
    try:
        app_id, private_key = apps.register(
            access.store(), slug, permissions=given.get("permissions"), repository=repository, token_lifetime=lifetime
        )
    except ValueError as error:
        raise refusals.RefusalError(422, str(error)) from error
    return jsonify({"app_id": app_id, "private_key": private_key}), 201


@blueprint.post("/faults")
def order_fault() -> Answer:
    method, path = incoming.required(_from_owner(), "method", "path")
    access.store().replies_to_lose.append((method.upper(), path))
    return Response(status=204)


def _from_owner() -> dict[str, Any]:
    """The body of the owner's request."""
    access.authenticate()
    if access.token().login != OWNER or access.person().repositories is not None:
        raise refusals.forbidden(access.token().kind)
    return incoming.body()


@blueprint.get("/events/pull_request")
def pull_request_event() -> Answer:
    full_name, number = request.args.get("repository", ""), request.args.get("number", 0, int)
    repo = access.store().repositories.get(full_name.lower())
    if repo is None:
        raise refusals.not_found()
    return jsonify(_payload(repo, access.pull(repo, number), request.args.get("action", "opened")))


def _payload(repo: Repository, one: Pull, action: str) -> dict[str, Any]:
    payload = {
        "action": action,
        "number": one.issue.number,
        "pull_request": conversation_shapes.whole_pull(repo, one),
        "repository": shapes.repository(repo),
        "sender": shapes.user(_sender(one.issue, action)),
    }
    if action == "synchronize":
        return {**payload, "before": one.previous_head_sha or one.base_sha, "after": one.head_sha}
    if action in ("labeled", "unlabeled"):
        return {**payload, "label": _label(repo, one.issue, action)}
    return payload


def _sender(one: Issue, action: str) -> str:
    """Who did it; where nobody did yet, the author."""
    return next((said.actor for said in reversed(one.events) if said.kind == action), one.author)


def _label(repo: Repository, one: Issue, action: str) -> dict[str, Any]:
    named = [said.label for said in one.events if said.kind == action and said.label.lower() in repo.labels]
    if not named:
        raise refusals.RefusalError(422, f"#{one.number} was never {action}")
    return conversation_shapes.label(repo, named[-1])
