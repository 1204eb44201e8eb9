"""The API server: one WSGI app that takes every request to the registry and wraps the answer."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request

from . import (  # noqa: F401  (importing them registers their endpoints)
    auth,
    errors,
    events,
    models,
    names,
    pipelines,
    projects,
    queues,
    task_batches,
    task_parameters,
    task_runs,
    tasks,
    web_session,
    workers,
)
from .registry import ENDPOINTS
from .store import Record, Store, new_id

_PATH = re.compile(r"(?:v(?P<version>\d+\.\d+|\d+)/)?(?P<name>[a-z_]+\.[a-z_.]+)")


def create_app(store: Store) -> Flask:
    app = Flask(__name__)

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST"])
    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path: str) -> Response:
        return _answer(store, path)

    return app


def _answer(store: Store, path: str) -> Response:
    found = _PATH.fullmatch(path)
    version = (found and found["version"]) or store.api_version
    name = found["name"] if found else path
    actual = ENDPOINTS[name].version if name in ENDPOINTS else None
    endpoint = {"name": name, "requested_version": version, "actual_version": actual}
    try:
        with store.lock:  # answers are live records: they are written out before the lock is given back
            data = _data(store, name, version)
            response = _response(endpoint, data)
            if name == "auth.login":
                response.set_cookie(auth.COOKIE, data["token"], httponly=True)
            return response
    except errors.ApiError as error:
        return _response(endpoint, {}, error)


def _data(store: Store, name: str, version: str) -> Record:
    if name not in ENDPOINTS:
        raise errors.no_endpoint(name, version)
    if not ENDPOINTS[name].open:
        auth.check(store, request.headers.get("Authorization", ""), cookie=request.cookies.get(auth.COOKIE, ""))
    try:
        return ENDPOINTS[name].answer(store, _request_data())
    except KeyError as error:
        raise errors.missing_fields("", missing=[error.args[0]]) from error
    except (AttributeError, TypeError, ValueError) as error:
        raise errors.invalid(f"malformed request: {error}") from error


def _request_data() -> Record:
    body = request.get_data()
    if "json-lines" in (request.content_type or ""):
        return {"events": [_parsed(line) for line in body.splitlines() if line.strip()]}
    data = _parsed(body) if body.strip() else dict(request.args)
    if not isinstance(data, dict):
        raise errors.invalid("the request body is not a JSON object")
    return data


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise errors.invalid(f"malformed JSON: {error}") from error


def _response(endpoint: Record, data: Record, error: errors.ApiError | None = None) -> Response:
    status = error.status if error else HTTPStatus.OK
    call = new_id()
    meta = {
        "id": call,
        "trx": call,
        "endpoint": endpoint,
        "result_code": int(status),
        "result_subcode": error.subcode if error else 0,
        "result_msg": error.message if error else "OK",
        "error_stack": None if error else "",
        "error_data": {},
    }
    body = json.dumps({"meta": meta, "data": data}, separators=(",", ":"))
    return Response(body, status=status, content_type="application/json")
