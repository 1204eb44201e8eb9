"""The text of a GitHubError when GitHub refuses a request: the action, GitHub's own message, what to do."""

import requests
from github import GithubException, RateLimitExceededException

from clearml_ci.core.redaction import mask

_LIMIT = "the rate limit of the token is reached: rerun later"


_OUTAGE = "rerun later, and see https://www.githubstatus.com"


_ADVICE = {
    401: "the token is wrong or has expired: set a new one",
    404: "it does not exist, or the token cannot read it: the token needs {permission} on this repository",
    422: "GitHub cannot process it: check that it belongs to this repository",
}


def message(action: str, error: GithubException, advice: str) -> str:
    """One sentence on what GitHub refused and why, then the advice."""
    return f"GitHub refused {action}: {error.status} {_own_message(error)}; {advice}"


def repeated(action: str, error: requests.exceptions.RetryError) -> str:
    """As message, of a request that GitHub refused each time: because of a limit (403 or 429), or it failed itself."""
    return f"GitHub refused {action}: {_reason(error)}; {_LIMIT if is_limit(error) else _OUTAGE}"


def is_limit(error: requests.exceptions.RetryError) -> bool:
    """True if GitHub refused all attempts because of a limit (403 or 429); False if it failed itself."""
    return " 4" in _reason(error)


def _reason(error: requests.exceptions.RetryError) -> str:
    return str(getattr(error.args[0], "reason", error))  # of urllib3: "too many 502 error responses"


def _own_message(error: GithubException) -> str:
    """GitHub's message, and its message on the first wrong field."""
    data = error.data if isinstance(error.data, dict) else {}
    fields = [item["message"] for item in data.get("errors") or [] if isinstance(item, dict) and item.get("message")]
    return mask(": ".join(str(part) for part in [data.get("message", ""), *fields[:1]] if part))


def advice(error: GithubException, permission: str) -> str:
    """The way out of a refusal; `permission` is the one that the request needs."""
    if isinstance(error, RateLimitExceededException):
        return _LIMIT
    if error.status >= 500:
        return _OUTAGE
    return _ADVICE.get(error.status, "the token needs {permission} on this repository").format(permission=permission)
