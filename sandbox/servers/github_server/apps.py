"""GitHub Apps: they sign in with a JSON web token of their key, and act with tokens of their installation.

https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app
"""

import functools
import time
from datetime import datetime, timezone
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Blueprint, Response, g, jsonify, request

from sandbox.servers.github_server import access, errors, request_parsing, shapes
from sandbox.servers.github_server.store import App, Store, Token

blueprint = Blueprint("apps", __name__)
Answer = Response | tuple[Response, int]
LIFETIME = 3600  # seconds, of an installation's token
LONGEST_JWT = 600  # seconds
EVERYTHING = dict.fromkeys(("checks", "contents", "issues", "pull_requests", "statuses"), "write")
_METADATA = {"metadata": "read"}  # every App has it


def register(
    store: Store, slug: str, *, permissions: dict[str, str] | None, repository: str | None, token_lifetime: float
) -> tuple[int, str]:
    """A new App, installed on one repository or on all of its owner's: its id and private key. Raises ValueError."""
    if not slug or slug in store.apps:
        raise ValueError(f"the name {slug!r} is empty or taken by another App")
    private_key, public_key = _keys(len(store.apps))
    made = App(
        id=store.new_id(),
        slug=slug,
        client_id=f"Iv23li{store.new_id():014d}",
        public_key=public_key,
        permissions={**(EVERYTHING if permissions is None else _named(permissions)), **_METADATA},
        installation=store.new_id(),
        repositories=None if repository is None else frozenset({repository.lower()}),
        token_lifetime=token_lifetime,
    )
    store.apps[slug] = made
    return made.id, private_key


@functools.cache
def _keys(number: int) -> tuple[str, str]:  # noqa: ARG001  each App of a server has its own
    """Return a private key, in the form that GitHub hands out, and its public one; to make one takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _named(permissions: dict[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): level for name, level in permissions.items()}


@blueprint.before_request
def authenticate() -> None:
    """Find the App that signed the request. The token of an installation or of a user is no JSON web token."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise _undecodable()
    try:
        claims = jwt.decode(value, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise _undecodable() from error
    g.app = _signer(value, claims.get("iss"))
    _check_times(claims)


def _undecodable() -> errors.ApiError:
    return errors.ApiError(401, "A JSON web token could not be decoded")


def _signer(value: str, issuer: Any) -> App:
    if not str(issuer or "").strip():
        raise errors.ApiError(401, "'Issuer' claim ('iss') must be an Integer")
    known = [app for app in access.store().apps.values() if str(issuer) in (str(app.id), app.client_id)]
    if not known:
        raise errors.ApiError(404, "Integration not found")
    unchecked = {f"verify_{claim}": False for claim in ("exp", "iat", "iss", "sub")}
    try:
        jwt.decode(value, known[0].public_key, algorithms=["RS256"], options=unchecked)  # type: ignore[arg-type]
    except jwt.PyJWTError as error:
        raise _undecodable() from error
    return known[0]


def _check_times(claims: dict[str, Any]) -> None:
    now, expires, issued = time.time(), claims.get("exp"), claims.get("iat")
    if not isinstance(expires, int) or expires <= now:
        rule = "must be a numeric value representing the future time at which the assertion expires"
        raise errors.ApiError(401, f"'Expiration time' claim ('exp') {rule}")
    if expires > now + LONGEST_JWT:
        raise errors.ApiError(401, "'Expiration time' claim ('exp') is too far in the future")
    if not isinstance(issued, int) or issued > now:
        rule = "must be an Integer representing the time that the assertion was issued"
        raise errors.ApiError(401, f"'Issued at' claim ('iat') {rule}")


def _app() -> App:
    held: App = g.app
    return held


@blueprint.get("/app")
def get_app() -> Answer:
    return jsonify({**shapes.app(_app().login), "installations_count": 1})


@blueprint.get("/app/installations")
def list_installations() -> Answer:
    return request_parsing.page([_app()], _installation)


@blueprint.get("/app/installations/<int:number>")
def get_installation(number: int) -> Answer:
    return jsonify(_installation(_installed(number)))


@blueprint.get("/repos/<owner>/<name>/installation")
def get_repository_installation(owner: str, name: str) -> Answer:
    repo = access.store().repositories.get(f"{owner}/{name}".lower())
    if repo is None or not _token(_app(), None, _app().permissions).covers(repo):
        raise errors.not_found()
    return jsonify(_installation(_app()))


@blueprint.post("/app/installations/<int:number>/access_tokens")
def create_access_token(number: int) -> Answer:
    app, given = _installed(number), request_parsing.body()
    permissions = _granted(app, given.get("permissions") or {})
    made = _token(app, _repositories(app, given.get("repositories")), permissions)
    expires = datetime.fromtimestamp(made.expires or 0, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = {"token": access.store().keep(made), "expires_at": expires, "permissions": permissions}
    return jsonify({**answer, "repository_selection": _selection(made.repositories)}), 201


def _installed(number: int) -> App:
    if number != _app().installation:
        raise errors.not_found()
    return _app()


def _granted(app: App, requested: dict[str, str]) -> dict[str, str]:
    """Return the requested permissions, never more than the App has; all of them if none is named."""
    held = Token(app.login, "app", None, app.permissions)
    if not all(held.may(name, level) for name, level in requested.items()):
        raise errors.ApiError(422, "The permissions requested are not granted to this installation.")
    return {**requested, **_METADATA} if requested else app.permissions


def _repositories(app: App, names: list[str] | None) -> frozenset[str] | None:
    if not names:
        return app.repositories
    requested = frozenset(f"{app.owner}/{name}".lower() for name in names)
    if not requested <= (access.store().repositories.keys() if app.repositories is None else app.repositories):
        message = "There is at least one repository that does not exist or is not accessible to the parent installation"
        raise errors.ApiError(422, f"{message}.")
    return requested


def _token(app: App, repositories: frozenset[str] | None, permissions: dict[str, str]) -> Token:
    repositories = app.repositories if repositories is None else repositories
    return Token(app.login, "app", repositories, permissions, app.owner, time.time() + app.token_lifetime)


def _selection(repositories: frozenset[str] | None) -> str:
    return "all" if repositories is None else "selected"


def _installation(app: App) -> shapes.Shape:
    url = f"{shapes.api()}/app/installations/{app.installation}"
    return {
        "id": app.installation,
        "account": shapes.user(app.owner),
        "app_id": app.id,
        "app_slug": app.slug,
        "client_id": app.client_id,
        "target_id": shapes.number_of(app.owner.lower()),
        "target_type": "User",
        "repository_selection": _selection(app.repositories),
        "permissions": app.permissions,
        "events": [],
        "access_tokens_url": f"{url}/access_tokens",
        "repositories_url": f"{shapes.api()}/installation/repositories",
        "html_url": f"{shapes.web()}/settings/installations/{app.installation}",
        "created_at": app.created,
        "updated_at": app.created,
        "suspended_at": None,
        "suspended_by": None,
    }
