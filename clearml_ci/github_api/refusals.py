"""The text of a GitHubError when GitHub refuses a request: the action, GitHub's own message, what to do."""

from github import GithubException, RateLimitExceededException

from clearml_ci.core.redaction import mask

_ADVICE = {
    401: "the token is wrong or has expired: set a new one",
    404: "it does not exist, or the token cannot read it: the token needs {permission} on this repository",
    422: "GitHub cannot process it: check that it belongs to this repository",
}


def message(action: str, error: GithubException, advice: str) -> str:
    """One sentence on what GitHub refused and why, then the advice."""
    return f"GitHub refused {action}: {error.status} {_own_message(error)}; {advice}"


def _own_message(error: GithubException) -> str:
    """GitHub's message, and its message on the first wrong field."""
    data = error.data if isinstance(error.data, dict) else {}
    fields = [item["message"] for item in data.get("errors") or [] if isinstance(item, dict) and item.get("message")]
    return mask(": ".join(str(part) for part in [data.get("message", ""), *fields[:1]] if part))


def advice(error: GithubException, permission: str) -> str:
    """The way out of a refusal; `permission` is the one that the request needs."""
    if isinstance(error, RateLimitExceededException):
        return "the rate limit of the token is reached: rerun later"
    if error.status >= 500:
        return "rerun later, and see https://www.githubstatus.com"
    return _ADVICE.get(error.status, "the token needs {permission} on this repository").format(permission=permission)
