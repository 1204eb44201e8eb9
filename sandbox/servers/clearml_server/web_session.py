"""The calls of a browser before it shows a page: the `login.*`, `server.*` and `users.*` endpoints."""

from __future__ import annotations

from . import errors
from .registry import endpoint
from .store import COMPANY, SERVER_VERSION, USER, USER_NAME, Record, Store

_SINCE = "2026-01-01T00:00:00.000000+00:00"  # when the one user was made


@endpoint("login.supported_modes", needs_credentials=False)
def supported_modes(_store: Store, _request: Record) -> Record:
    return {
        "authenticated": False,
        "basic": {"enabled": False, "guest": {"enabled": False}},
        "server_errors": {"es_connection_error": False, "missed_es_upgrade": False},
        "sso": {},
        "sso_providers": [],
    }


@endpoint("server.report_stats_option")
def report_stats_option(_store: Store, _request: Record) -> Record:
    return {"current_version": SERVER_VERSION, "enabled": False, "supported": True}


@endpoint("server.info", version="2.12")
def info(store: Store, _request: Record) -> Record:
    return {"version": SERVER_VERSION, "build": "", "commit": "", "api_version": store.api_version}


@endpoint("users.get_current_user")
def get_current_user(_store: Store, _request: Record) -> Record:
    company = {"id": COMPANY, "name": "clearml"}
    names = {"agentName": "clearml", "configure": "clearml-init", "install": "pip install clearml"}
    return {
        "user": {**_user(), "company": company, "created_in_version": SERVER_VERSION, "role": "user"},
        "getting_started": {**names, "packageName": "clearml"},
        "settings": {"max_download_items": 50000},
    }


def _user() -> Record:
    named = {"name": USER_NAME, "family_name": USER_NAME, "given_name": USER_NAME}
    return {"id": USER, "company": COMPANY, "created": _SINCE, **named}


@endpoint("users.get_all")
def get_all(_store: Store, _request: Record) -> Record:
    return {"users": [_user()]}


@endpoint("users.get_by_id")
def get_by_id(_store: Store, request: Record) -> Record:
    if request.get("user") != USER:
        raise errors.bad_request(301, "Invalid user id", id=request.get("user"))
    return {"user": _user()}


@endpoint("users.get_preferences")
def get_preferences(store: Store, _request: Record) -> Record:
    return {"preferences": store.preferences}


@endpoint("users.set_preferences")
def set_preferences(store: Store, request: Record) -> Record:
    """Merge the given preferences into those that are kept; without a change, nothing was updated."""
    merged = _merged(store.preferences, request["preferences"])
    if merged == store.preferences:
        return {"updated": 0, "fields": {}}
    store.preferences = merged
    return {"updated": 1, "fields": {"preferences": merged}}


def _merged(kept: Record, given: Record) -> Record:
    both = [name for name in kept.keys() & given.keys() if isinstance(kept[name], dict)]
    return {**kept, **given, **{name: _merged(kept[name], given[name]) for name in both}}
