"""GitHub's refusals: its status codes and JSON forms, so that a client sees here what it would see there."""

from typing import Any

from flask import Response, jsonify

DOCUMENTATION = "https://docs.github.com/rest"
NOT_ACCESSIBLE = {"personal": "Resource not accessible by personal access token"}


class RefusalError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message, "documentation_url": DOCUMENTATION, "status": str(status)}
        if errors:
            self.body["errors"] = errors

    def response(self) -> Response:
        response = jsonify(self.body)
        response.status_code = self.status
        return response


def not_found() -> RefusalError:
    return RefusalError(404, "Not Found")


def forbidden(kind: str) -> RefusalError:
    return RefusalError(403, NOT_ACCESSIBLE.get(kind, "Resource not accessible by integration"))


def invalid(resource: str, field: str, *, code: str = "invalid", message: str = "") -> RefusalError:
    error = {"resource": resource, "field": field, "code": code}
    return RefusalError(422, "Validation Failed", [{**error, "message": message} if message else error])
