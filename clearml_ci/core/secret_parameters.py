"""Secrets that a user writes into a parameter, recognized by the name before the value.

More is refused here than is masked elsewhere: a parameter that is refused by mistake is renamed once, and a secret that
is taken is shown by ClearML for ever. The names of arguments count as well: `pad_token=[PAD]` is none.
"""

import re

_ASSIGNED = re.compile(r"(?P<name>[A-Za-z_][\w.-]{0,80})=[\"']?(?=(?P<value>[^\s\"']{1,200}))")


# Not podman's `--secret name`.
_OPTION = re.compile(
    r"(?<!\S)--?(?!secret\s+[a-z_-]+(?:\s|$))(?P<name>[A-Za-z][\w-]{0,80})\s+[\"']?(?=(?P<value>[^\s\"'-][^\s\"']{0,200}))"
)


_STRONG = re.compile(
    r"(?i)secret|passw(?:or)?d|passphrase|credential|cookie|connection_?string|"
    r"(?:api|access|account|private|signing|encryption|deploy|ssh|master)[_.-]?key"
)


_WEAK = re.compile(r"(?i)(?:token|(?:^|[_.-])(?:pass|pat|pwd|auth))$")  # a word of texts, or the number of passes


_NOT_SECRET = re.compile(
    r"(?i)^no[_.-]|[_.-](?:id|name|file|path|dir|folder|url|uri|host|port|user|username|type|mode|ttl|sec|seconds|count|"
    r"limit|length|size|env|var|scan|check)s?$"
)


# A variable that the agent's shell or pip replaces, a path, an address, or a word that hides nothing.
_HARMLESS = re.compile(
    r"(?i)\$\{\w+\}|\$[A-Z_][A-Z0-9_]*|[.~]?/.*|[a-z][a-z0-9+.-]*://.*|true|false|yes|no|on|off|none|null|\*+|<.*|\[.*|\{.*"
)


_LIKE_A_TOKEN = re.compile(r"(?=[^\d]*\d)(?!\d+$)[\w./+=:~-]{8,}")


# The user of an address, without a password: a token, as the package servers of GitHub and Gemfury take it.
_USER = re.compile(r"(?i)https?://(?!git@|\$\{\w+\}@)[^/\s:@\"'<>]{1,1000}@(?!dev\.azure\.com[/:])")


def are_given(text: str) -> bool:
    """True if a text gives a value to a secret's name (`-e DB_PASSWORD=x`, `--token x1`), or an address a user."""
    given = (found for form in (_ASSIGNED, _OPTION) for found in form.finditer(text))
    return bool(_USER.search(text)) or any(_is_given(found["name"], found["value"]) for found in given)


def _is_given(name: str, value: str) -> bool:
    if _NOT_SECRET.search(name) or _HARMLESS.fullmatch(value):
        return False
    return bool(_STRONG.search(name)) or bool(_WEAK.search(name) and _LIKE_A_TOKEN.match(value))
