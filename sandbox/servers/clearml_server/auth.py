"""Credentials: the `auth.*` endpoints, and the check that every other request passes."""

from __future__ import annotations

import base64
import binascii
import hmac
import time

import jwt

from . import errors
from .registry import endpoint
from .store import COMPANY, SERVER_VERSION, USER, USER_NAME, Record, Store

_MONTH = 30 * 86400
_ALGORITHM = "HS256"
COOKIE = "clearml_token_basic"
"""The session of a browser: `auth.login` sets it, and it stands in for the header."""


@endpoint("auth.login")
def login(store: Store, request: Record) -> Record:
    """A token that carries what the SDK and the agent read from it: versions, feature set, expiry."""
    issued = int(time.time())
    payload = {
        "iat": issued,
        "exp": issued + int(request.get("expiration_sec") or _MONTH),
        "env": "",
        "auth_type": "Bearer",
        "api_version": store.api_version,
        "server_version": SERVER_VERSION,
        "server_build": "sandbox",
        "feature_set": "basic",
        "identity": {"user": USER, "company": COMPANY, "role": "user", "user_name": USER_NAME},
    }
    return {"token": jwt.encode(payload, store.signing_key, algorithm=_ALGORITHM)}


def check(store: Store, authorization: str, *, cookie: str = "") -> None:
    """Raise unless the header holds this server's keys (Basic) or one of its tokens (Bearer), or the cookie a token."""
    kind, _, value = (authorization or (f"Bearer {cookie}" if cookie else "")).partition(" ")
    if not value:
        raise errors.unauthorized(20, "Unauthorized (missing credentials)")
    if kind == "Basic":
        _check_keys(store, value)
    elif kind == "Bearer":
        _check_token(store, value)
    else:
        raise errors.unauthorized(10, "Unauthorized (bad authentication header type)")


def _check_keys(store: Store, value: str) -> None:
    try:
        given = base64.b64decode(value)
    except binascii.Error as error:
        raise errors.unauthorized(21, "Unauthorized (malformed credentials)") from error
    if not hmac.compare_digest(given, f"{store.access_key}:{store.secret_key}".encode()):
        reason = "failed to locate provided credentials"
        raise errors.unauthorized(22, f"Unauthorized (invalid credentials) ({reason})")


def _check_token(store: Store, token: str) -> None:
    try:
        jwt.decode(token, store.signing_key, algorithms=[_ALGORITHM])
    except jwt.InvalidTokenError as error:
        raise errors.unauthorized(30, f"Invalid token ({error})") from error


@endpoint("debug.ping", needs_credentials=False)
def ping(_store: Store, _request: Record) -> Record:
    return {"msg": "ClearML server"}
