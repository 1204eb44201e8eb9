"""Servers that stand between the product and the local GitHub, or in its place."""

import threading
from collections.abc import Callable

import requests
from flask import Flask, Response, request
from werkzeug.serving import make_server


class served:  # noqa: N801  reads as a statement: with served(app) as address
    """A WSGI application on loopback for the length of a block."""

    def __init__(self, app: Flask) -> None:
        self._server = make_server("127.0.0.1", 0, app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def interrupted(target: str, act: Callable[[], object], *, method: str, before: bool) -> served:
    """A proxy that carries every request, and acts once: just before or after the first one of `method`."""
    app = Flask("proxy")
    waiting = [act]

    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def carry(path: str) -> Response:
        due = waiting.pop() if request.method == method and waiting else lambda: None
        if before:
            due()
        answer = _carried(f"{target}/{path}")
        if not before:
            due()
        return answer

    return served(app)


def _carried(address: str) -> Response:
    headers = {name: value for name, value in request.headers if name.lower() in ("authorization", "content-type")}
    answer = requests.request(
        request.method,
        address,
        params=dict(request.args),
        data=request.get_data(),
        headers={**headers, "Host": request.host},
        timeout=10,
    )
    kept = {name: answer.headers[name] for name in ("Link",) if name in answer.headers}
    return Response(answer.content, answer.status_code, kept, content_type=answer.headers.get("Content-Type"))
