"""Harm to one request: it is refused, answered wrongly, answered too late, or not answered."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any

from tools.faults.proxy import Answer, Exchange, Harm

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
LIMIT_MESSAGE = "API rate limit exceeded for installation ID 1."
SECONDARY_MESSAGE = (
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again. If you reach out to "
    "GitHub Support for help, please include the request ID."
)


def page(status: int) -> Harm:
    """The page of a gateway that does not reach its server."""

    def harm(exchange: Exchange) -> str:
        exchange.send(Answer(status, [("Content-Type", "text/html")], HTML))
        return f"answered {status} with a page"

    return harm


def gateway_after(exchange: Exchange) -> str:
    """The server did it, and the gateway lost patience."""
    exchange.forward()
    exchange.send(Answer(502, [("Content-Type", "text/html")], HTML))
    return "carried out, and answered 502"


def lost(exchange: Exchange) -> str:
    exchange.forward()
    exchange.close()
    return "carried out, and the answer lost"


def cut(exchange: Exchange) -> str:
    exchange.send(exchange.forward(), share=0.5)
    return "carried out, and the answer cut"


def reset_after(exchange: Exchange) -> str:
    exchange.forward()
    exchange.reset()
    return "carried out, and the connection reset"


def reset_before(exchange: Exchange) -> str:
    exchange.reset()
    return "not carried out, and the connection reset"


def slow(seconds: float) -> Harm:
    """Carried out, and answered after `seconds`."""

    def harm(exchange: Exchange) -> str:
        answer = exchange.forward()
        time.sleep(seconds)
        exchange.send(answer)
        return f"carried out, and answered after {seconds:g} s"

    return harm


def silent(seconds: float) -> Harm:
    """Never carried out, never answered."""

    def harm(exchange: Exchange) -> str:
        time.sleep(seconds)
        exchange.close()
        return f"not carried out, and not answered for {seconds:g} s"

    return harm


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Harm:
    """A refusal in the words of the service."""

    def harm(exchange: Exchange) -> str:
        body = json.dumps(_words(exchange.request.service, status, message)).encode()
        given = [("Content-Type", "application/json; charset=utf-8"), *(headers or {}).items()]
        exchange.send(Answer(status, given, body))
        return f"refused with {status}: {message[:60]}"

    return harm


def primary_limit(seconds: float) -> Harm:
    """GitHub's hourly limit, which ends after `seconds`."""

    def harm(exchange: Exchange) -> str:
        reset = {"x-ratelimit-limit": "1000", "x-ratelimit-remaining": "0"}
        return refused(403, LIMIT_MESSAGE, {**reset, "x-ratelimit-reset": str(int(time.time() + seconds))})(exchange)

    return harm


def secondary_limit(status: int, seconds: float) -> Harm:
    """GitHub's limit on bursts, with the pause that it asks for: whole seconds, as HTTP has it."""
    return refused(status, SECONDARY_MESSAGE, {"Retry-After": str(math.ceil(seconds))})


def _words(service: str, status: int, message: str) -> dict[str, Any]:
    if service == "github":
        return {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
    meta = {"result_code": status, "result_subcode": 0, "result_msg": message, "error_stack": None, "error_data": {}}
    return {"meta": {"id": "", "trx": "", "endpoint": {}, **meta}, "data": {}}
