"""JSON bodies and required fields of requests, and the pages of a list with their Link header."""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import Response, jsonify, request
from werkzeug.exceptions import BadRequest

from sandbox.servers.github_server import errors

T = TypeVar("T")


def anything() -> Any:
    """The request's JSON; an empty body is an empty object."""
    if not request.get_data():
        return {}
    try:
        return request.get_json(force=True)
    except BadRequest as error:
        raise errors.ApiError(400, "Problems parsing JSON") from error


def body() -> dict[str, Any]:
    found = anything()
    if not isinstance(found, dict):
        raise errors.ApiError(400, "Body should be a JSON object")
    return found


def required(given: dict[str, Any], *fields: str) -> list[str]:
    """These texts, in this order."""
    missing = [field for field in fields if field not in given]
    if missing:
        raise errors.not_supplied(missing)
    for field in fields:
        if not isinstance(given[field], str):
            raise errors.wrong_type(field, given[field])
    return [given[field] for field in fields]


def text(given: dict[str, Any], field: str, default: str = "") -> str:
    """An optional text."""
    value = given.get(field)
    if value is not None and not isinstance(value, str):
        raise errors.wrong_type(field, value)
    return default if value is None else value


def limited(given: dict[str, Any], resource: str, *, created: bool = True) -> str:
    """The optional `body`, no longer than GitHub takes."""
    value = text(given, "body")
    if len(value) > errors.BODY_LIMIT:
        raise errors.too_long(resource, created=created)
    return value


def page(found: Sequence[T], shape: Callable[[T], Any], *, key: str = "") -> Response:
    """One page of a list; with a `key`, wrapped in an object that also counts all of it."""
    size = max(1, min(request.args.get("per_page", 30, int), 100))
    number = max(1, request.args.get("page", 1, int))
    shown = [shape(item) for item in found[(number - 1) * size : number * size]]
    response = jsonify({"total_count": len(found), key: shown} if key else shown)
    links = _links(number, max(1, math.ceil(len(found) / size)))
    if links:
        response.headers["Link"] = ", ".join(f'<{_at(page)}>; rel="{rel}"' for rel, page in links.items())
    return response


def _links(number: int, last: int) -> dict[str, int]:
    back = {"prev": number - 1, "first": 1} if number > 1 else {}
    ahead = {"next": number + 1, "last": last} if number < last else {}
    return {**back, **ahead}


def _at(number: int) -> str:
    arguments = {**request.args, "page": str(number)}
    return f"{request.base_url}?{urlencode(arguments)}"
