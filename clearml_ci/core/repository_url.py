"""Addresses of git repositories: ssh, https, scp form, `.git`, case and a trailing slash make no difference."""

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_SCP_FORM = re.compile(r"^(?:[\w.-]+@)?(?P<host>[\w.-]+):(?P<path>(?!/{2}).+)$")


# Hosts that serve ssh on port 443, for networks that close port 22.
_OVER_HTTPS = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}


# Up to the last @ that a host and a path follow, if the password may hold a `/`; else up to the last before the path.
_CREDENTIALS = re.compile(
    r"^(?P<scheme>[a-z][a-z0-9+.-]*://)"
    r"(?P<userinfo>[^/:]*:(?!\d+(?:/|$)).*(?=@[^/@]+/)|[^/]*(?=@)|[^/:]*:(?!\d+(?:/|$)).*(?=@))@",
    re.IGNORECASE,
)


def identity(url: str) -> str:
    """`host/owner/name` in lower case, or a local path: the same for all addresses of one repository."""
    url = without_credentials(url)
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
    host = _OVER_HTTPS.get(host.lower(), host.lower())
    return f"{host}/{path.lstrip('/')}" if host else path


def is_one_of(url: str, repositories: Iterable[str]) -> bool:
    """True if `url` is an address of one of `repositories`; an empty one never is."""
    return bool(url.strip()) and identity(url) in {identity(other) for other in repositories if other}


def without_credentials(url: str) -> str:
    """The address without `user:token@`, which `git remote get-url` may show; `git@host` of ssh stays.

    A user name may hold an `@`, and a password an `@` or a `/`: what comes before a port is a host.
    """
    return _CREDENTIALS.sub(_without_credentials, url.strip())


def _without_credentials(found: re.Match[str]) -> str:
    user = found["userinfo"].partition(":")[0]
    return f"{found['scheme']}{user}@" if user and "ssh" in found["scheme"].lower() else found["scheme"]
