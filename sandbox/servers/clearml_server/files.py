"""The file server: artifacts and models are posted as forms and fetched by their path."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, abort, jsonify, request, send_file
from werkzeug.security import safe_join


def create_app(directory: Path) -> Flask:
    """Files below `directory`. Like a browser's links, reading needs no credentials."""
    app = Flask(__name__)

    @app.post("/")
    def upload() -> Response:
        stored = []
        for field, upload_ in request.files.items():
            name = field.lstrip("/") or (upload_.filename or "")
            target = _path(directory, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            upload_.save(target)
            stored.append(name)
        return jsonify(stored)

    @app.get("/<path:name>")
    def download(name: str) -> Response:
        target = _path(directory, name)
        return send_file(target) if target.is_file() else abort(404)

    @app.delete("/<path:name>")
    def delete(name: str) -> Response:
        _path(directory, name).unlink(missing_ok=True)
        return Response("OK")

    return app


def _path(directory: Path, name: str) -> Path:
    joined = safe_join(str(directory), name)
    return Path(joined) if joined else abort(404)
