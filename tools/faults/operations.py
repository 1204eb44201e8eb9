"""Names of requests that are the same in every case: `tasks.edit`, `POST statuses/SHA`, `upload`."""

import re

CLEARML, FILES, GITHUB = "clearml", "files", "github"
_REPOSITORY = re.compile(r"^.*?/repos/[^/]+/[^/]+/?")
_API = re.compile(r"^/api/v3/?")
_HASH, _NUMBER = re.compile(r"\b[0-9a-f]{40}\b"), re.compile(r"(?<=/)\d+(?=/|$)")
_COMPARED, _FILE = re.compile(r"(?<=compare/).*"), re.compile(r"(?<=contents/).*")


def name(service: str, method: str, path: str) -> str:
    """The operation of a request to a service."""
    plain = path.partition("?")[0]
    if service == CLEARML:
        return plain.rpartition("/")[2]
    if service == FILES:
        return {"POST": "upload", "DELETE": "delete"}.get(method, "download")
    return f"{method} {_resource(plain)}"


def _resource(path: str) -> str:
    """`/repos/o/n/issues/7/comments` → `issues/N/comments`."""
    resource = _API.sub("", _REPOSITORY.sub("", path)).strip("/") or "repository"
    for pattern, instead in ((_HASH, "SHA"), (_NUMBER, "N"), (_COMPARED, "X"), (_FILE, "X")):
        resource = pattern.sub(instead, resource)
    return resource
