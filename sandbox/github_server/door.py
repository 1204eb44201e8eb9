"""The sandbox's own door, under a path that the real GitHub does not have: tokens, which there come from settings."""

from flask import Blueprint, Response, jsonify

from sandbox.github_server import access, refusals
from sandbox.github_server.store import OWNER

blueprint = Blueprint("door", __name__, url_prefix="/_sandbox")
KINDS = ("personal", "workflow", "app")


@blueprint.post("/tokens")
def mint() -> tuple[Response, int]:
    """`{"kind", "repository", "login", "permissions"}` → `{"token"}`; only the owner may ask."""
    if access.token().login != OWNER or access.token().kind != "personal":
        raise refusals.forbidden(access.token().kind)
    given = access.body()
    if given.get("kind") not in KINDS:
        raise refusals.invalid("Token", "kind")
    token = access.store().mint(
        given["kind"],
        repository=given.get("repository"),
        login=given.get("login") or OWNER,
        permissions=given.get("permissions"),
    )
    return jsonify({"token": token}), 201
