"""GitHub's error responses: its status codes and JSON forms."""

from typing import Any

from flask import Response, jsonify

DOCUMENTATION = "https://docs.github.com/rest"
NOT_ACCESSIBLE = {"personal": "Resource not accessible by personal access token"}
BODY_LIMIT = 65_536  # characters of an issue's, a pull request's or a comment's body


class ApiError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message}
        if errors:
            self.body["errors"] = errors
        self.body |= {"documentation_url": DOCUMENTATION, "status": str(status)}

    def response(self) -> Response:
        response = jsonify(self.body)
        response.status_code = self.status
        return response


def not_found() -> ApiError:
    return ApiError(404, "Not Found")


def forbidden(kind: str) -> ApiError:
    return ApiError(403, NOT_ACCESSIBLE.get(kind, "Resource not accessible by integration"))


def not_allowed() -> ApiError:
    """Refuse a user whose role is too low; GitHub names `admin`, whichever role is missing."""
    return ApiError(403, "Must have admin rights to Repository.")


def invalid(resource: str, field: str, *, code: str = "invalid", message: str = "") -> ApiError:
    error = {"resource": resource, "code": code, "field": field}
    return ApiError(422, "Validation Failed", [{**error, "message": message} if message else error])


def custom(resource: str, message: str) -> ApiError:
    return ApiError(422, "Validation Failed", [{"resource": resource, "code": "custom", "message": message}])


def not_supplied(fields: list[str]) -> ApiError:
    named = ", ".join(f'"{field}"' for field in fields)
    return ApiError(422, f"Invalid request.\n\n{named} {'wasn' if len(fields) == 1 else 'weren'}'t supplied.")


def wrong_type(field: str, value: object) -> ApiError:
    shown = "nil" if value is None else repr(value)
    return ApiError(422, f"Invalid request.\n\nFor 'properties/{field}', {shown} is not a string.")


def too_long(resource: str, *, created: bool) -> ApiError:
    """Refuse a body that is too long. The texts for new and for edited comments differ: both were seen."""
    if resource == "IssueComment" and created:
        message = f"Body is too long (maximum is {BODY_LIMIT} characters)"
        return invalid(resource, "data", code="unprocessable", message=message)
    return invalid(resource, "body", code="custom", message=f"body is too long (maximum is {BODY_LIMIT} characters)")
