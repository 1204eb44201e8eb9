"""Refusals in ClearML's own form: an HTTP status, a subcode, and `Title (extra): key=value, …`."""

from __future__ import annotations

import re
from collections.abc import Collection


class ApiError(Exception):
    def __init__(self, status: int, subcode: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.subcode = subcode
        self.message = message


def _shown(value: object) -> str:
    if isinstance(value, Collection) and not isinstance(value, str):
        return f"({', '.join(map(str, value))})"
    return str(value)


def bad_request(subcode: int, title: str, extra: str = "", /, **details: object) -> ApiError:
    message = f"{title} ({extra})" if extra else title
    if details:
        message += ": " + ", ".join(f"{key}={_shown(value)}" for key, value in details.items())
    return ApiError(400, subcode, message)


def invalid_task(**details: object) -> ApiError:
    return bad_request(101, "Invalid task id", "", **details)


def invalid_status(extra: str = "", **details: object) -> ApiError:
    return bad_request(110, "Invalid task status", extra, **details)


def invalid(extra: str, **details: object) -> ApiError:
    return bad_request(12, "Validation error", extra, **details)


def missing_fields(extra: str, **details: object) -> ApiError:
    return bad_request(11, "Missing required fields", extra, **details)


def invalid_queue(**details: object) -> ApiError:
    return bad_request(701, "Invalid queue id", "", **details)


def unauthorized(subcode: int, message: str) -> ApiError:
    return ApiError(401, subcode, message)


def no_endpoint(name: str, version: str) -> ApiError:
    return ApiError(404, 0, f"Unable to find endpoint for name {name} and version {version}")


def compiled(pattern: str, flags: int = 0) -> re.Pattern[str]:
    try:
        return re.compile(pattern, flags)
    except re.error as error:
        raise bad_request(21, "Malformed regular expression", err=error, extra_info=None) from error
