"""Servers that stand between the product and the local GitHub or a ClearML server, or in their place."""

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

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


def interrupted(target: str, act: Callable[[], object], *, method: str, before: bool, nth: int = 1) -> served:
    """A proxy that carries every request, and acts once: just before or after the first, or `nth`, one of `method`."""
    app = Flask("proxy")
    waiting: list[Callable[[], object]] = [act, *[str] * (nth - 1)]  # `str` does nothing

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


def paged(target: str, *, method: str, carried: bool) -> served:
    """A proxy that carries every request, but answers the first one of `method` with a page instead of JSON."""
    app = Flask("proxy")
    waiting = [Response("<html>Sign in</html>", 200)]

    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def carry(path: str) -> Response:
        page = waiting.pop() if request.method == method and waiting else None
        answer = _carried(f"{target}/{path}") if carried or page is None else None
        return page or answer or Response(status=500)

    return served(app)


def refusing(target: str, *, method: str, ending: str) -> served:
    """A proxy that carries every request, but answers 404 to those of `method` whose path ends with `ending`."""
    app = Flask("proxy")

    @app.route("/<path:path>", methods=["GET", "POST", "PATCH", "DELETE"])
    def carry(path: str) -> Response:
        if request.method == method and path.endswith(ending):
            return Response('{"message": "Not Found"}', 404, content_type="application/json")
        return _carried(f"{target}/{path}")

    return served(app)


def allowing(target: str, is_allowed: Callable[[str, str], bool]) -> served:
    """A proxy that carries the requests whose endpoint and authorization are allowed, and answers 401 to the others."""
    app = Flask("proxy")

    @app.route("/<path:path>", methods=["GET", "POST"])
    def carry(path: str) -> Response:
        if is_allowed(path.rpartition("/")[2], request.headers.get("Authorization", "")):
            return _carried(f"{target}/{path}")
        return Response(json.dumps({"meta": _REFUSAL, "data": {}}), 401, content_type="application/json")

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


_REFUSAL = {  # as a real server answers
    "id": "0" * 32,
    "trx": "0" * 32,
    "endpoint": {"name": "", "requested_version": "2.31", "actual_version": "1.0"},
    "result_code": 500,
    "result_subcode": 0,
    "result_msg": "General data error",
    "error_stack": None,
    "error_data": {},
}


@dataclass
class Losses:
    """What happens to requests of a ClearML server, by endpoint: each kind of harm is done once, in this order.

    `lost`: the work is done, and the connection ends without an answer; `cut`: it ends within the answer; `refused`: a
    500 before the work; `503`, `502`: that status after the work; `html`: a page of a proxy after it; `slow`: the
    client's time is over when the work begins; `held`: work with lines of a console begins once `released` is set;
    `401`: all requests are refused from then on, the login as well.
    """

    harms: dict[str, list[str]] = field(default_factory=dict)
    sent: list[str] = field(default_factory=list)
    slow: float = 0.0
    released: threading.Event = field(default_factory=threading.Event)
    keys_refused: bool = False

    def proxy(self, target: str) -> served:
        """A proxy to the server at this address that does the harm."""
        app = Flask("losses")

        @app.route("/<path:path>", methods=["GET", "POST"])
        def carry(path: str) -> Response:
            endpoint = path.rpartition("/")[2]
            self.sent.append(endpoint)
            harm = (self.harms.get(endpoint) or [""]).pop(0)
            return self._harmed(harm, f"{target}/{path}")

        return served(app)

    def _harmed(self, harm: str, address: str) -> Response:
        self.keys_refused = self.keys_refused or harm == "401"
        if self.keys_refused or harm == "refused":
            code = 401 if self.keys_refused else 500
            body = {"meta": {**_REFUSAL, "result_code": code}, "data": {}}
            return Response(json.dumps(body), code, content_type="application/json")
        if harm == "slow":
            time.sleep(self.slow)
        if harm == "held" and b'"type": "log"' in request.get_data():
            self.released.wait(120)
        answer = _carried(address)
        if harm in ("lost", "slow"):
            request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        if harm == "cut":
            return Response(iter([answer.data[:-9]]), 200, {"Content-Length": str(len(answer.data))})
        if harm in ("502", "503"):
            return Response("<html>Bad Gateway</html>", int(harm))
        return Response("<html>Sign in</html>") if harm == "html" else answer
