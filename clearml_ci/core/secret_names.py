"""Names of environments and configurations that hold secrets, and the values that are worth to be masked."""

import re

from clearml_ci.core.outcome import Outcome

SHORTEST = 6  # characters; a shorter value occurs in ordinary words


_SHORTEST_NUMBER = 8  # digits; a shorter number occurs among the metrics


_PASSWORD = re.compile(r"(?i)passw|passphrase|secret|(?:^|[_.-])(?:pass|pwd)$")  # whatever the value looks like


_NAMES = re.compile(
    r"(?i)token(?!i[sz])|credential|cookie|authorization|"
    r"(?:api|access|account|private|secret|signing|encryption|deploy|ssh|master)[_.-]?key|(?:^|[_.-])(?:pat|auth)$"
)


_KEY = re.compile(r"(?i)(?<!cache)(?<!sort)(?<!primary)(?<!foreign)(?<!public)(?<!partition)[_.-]key$|^key$")


_NOT_SECRET = re.compile(
    r"(?i)[_.-](?:id|name|file|path|dir|folder|url|uri|host|port|user|username|type|mode|ttl|sec|seconds|count|limit)$"
    r"|^pwd$"  # of a shell: the present folder
    r"|(?:^|_)hide_"  # of clearml.conf: names of secrets
)


_HOOKS = re.compile(r"(?i)web_?hook")  # the address itself is the secret


# Names that everybody sees. The user of a service is none: many put their token in its place.
_PUBLIC = re.compile(r"(?i)(?:^|[_.-])(?:actor|owner|repository|host|hostname)$|^(?:user|username|logname)$")


_LIKE_A_TOKEN = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[\w.~+/=%-]{8,}")


_ADDRESS = re.compile(r"(?i)[a-z][a-z0-9+.-]*://\S*|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}(?::\d+)?")


_PATH = re.compile(
    r"(?i)(?:~|\.{1,2}|[a-z]:)?[/\\][^\n:;=]*\.(?:json|pem|key|crt|cer|p12|pfx|ya?ml|conf|cfg|ini|txt|env)|"
    r"(?:~|\.{1,2}|/(?:app|data|etc|github|home|mnt|opt|private|root|run|secrets|tmp|users|usr|var|work))/[^\n:;=]*"
)


_NUMBER = re.compile(r"[-+]?[\d.,_]+(?:e[-+]?\d+)?", re.IGNORECASE)


# Words of settings and of this program's own documents: they hide nothing, and masked ones break a document.
_WORDS = frozenset(
    ["false", "disabled", "enabled", "default", "required", "optional", "inherit", "success", "failure", "pending"]
) | {str(outcome) for outcome in Outcome}


def is_public(name: str) -> bool:
    """True if what this name holds is known to everybody, such as a repository."""
    return bool(_PUBLIC.search(name))


def is_secret(name: str, value: str) -> bool:
    """True if the name is a secret's, and the value may be one: no path of a file, and no bare address or number."""
    if _HOOKS.search(name):
        return True
    if _NOT_SECRET.search(name) or _PATH.fullmatch(value):
        return False
    if _PASSWORD.search(name):
        return "://" not in value
    if _NAMES.search(name):
        return not (_ADDRESS.fullmatch(value) or _NUMBER.fullmatch(value))
    return bool(_KEY.search(name)) and is_like_a_token(value)


def is_like_a_token(value: str) -> bool:
    """True for eight characters or more, letters and digits."""
    return bool(_LIKE_A_TOKEN.fullmatch(value))


def is_worth_holding(value: str) -> bool:
    """True for a value of six characters or more, except short numbers and words of settings."""
    is_number = len(value) < _SHORTEST_NUMBER and _NUMBER.fullmatch(value)
    return len(value) >= SHORTEST and value.lower() not in _WORDS and not is_number
