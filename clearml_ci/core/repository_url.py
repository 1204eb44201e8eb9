"""Addresses of git repositories: ssh, https, scp form, `.git`, case and a trailing slash make no difference."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_SCP_FORM = re.compile(r"^(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>(?!/{2}).+)$")


def identity(url: str) -> str:
    """`host/owner/name` in lower case, or a local path: the same for all addresses of one repository."""
    url = url.strip()
    scp = _SCP_FORM.match(url) if "://" not in url else None
    if scp:
        host, path = scp["host"], scp["path"]
    else:
        try:
            parts = urlsplit(url)
        except ValueError:  # a recorded address can be anything, `https://[x/y` for one
            return url
        host, path = parts.hostname or "", unquote(parts.path)
    path = re.sub(r"\.git$", "", path.rstrip("/").lower())
    return f"{host.lower()}/{path.lstrip('/')}" if host else path


def is_one_of(url: str, repositories: Iterable[str]) -> bool:
    """True if `url` is an address of one of `repositories`; an empty one never is."""
    return bool(url.strip()) and identity(url) in {identity(other) for other in repositories if other}


def without_credentials(url: str) -> str:
    """The address without `user:token@`, which `git remote get-url` may show; `git@host` stays."""
    return re.sub(r"^(https?://)[^/@]*@", r"\1", url.strip())
