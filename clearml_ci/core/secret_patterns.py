"""Patterns of secrets: their own form, or the name before them. Each takes linear time."""

import re
from collections.abc import Callable, Iterator

from clearml_ci.core import secret_spellings
from clearml_ci.core.secret_spellings import Span

_COUNTABLE = r"token(?!i[sz])"


_ALWAYS = (
    r"(?:passw(?:or)?d|passphrase|secret|(?:api|access|account|private|secret)[ _-]?key|credential|"
    r"authorization|cookie|web_?hook|(?<![A-Za-z])(?:pwd|pass|pat)(?![A-Za-z]))"
)


_NAME = f"(?:{_ALWAYS}|{_COUNTABLE})"


_ORDINARY = r"(?:true|false|none|null|str|int)(?=[\s,;)\]}]|$)"


_NUMBER = r"[-+]?[\d.,]+(?:e[-+]?\d+)?%?(?=[\s,;)\]}]|$)"  # `tokens: 512`


_PROSE = (
    r"(?:is|are|was|were|has|have|must|should|not|and|or|in|on|of|for|from|to|with|by|as|at|needs|missing|variable|"
    r"environment|expired|invalid|required|refused|rejected|cannot|does|input)\b"
)


_SIGN = r"[\w.-]{0,40}[\"'\]]{0,3}[ \t]*[=:][ \t]*"


_SNAKE_CASE = (
    r"(?:[a-z]\w{0,80}_)?(?:api|access|account|private|secret|signing|encryption|deploy|ssh|master)_key|"
    r"[a-z]\w{0,80}_(?:token|secret|password|passwd|passphrase|pass|pwd|pat|credentials?)"
)


_HARMLESS = "CACHE|SORT|PRIMARY|PUBLIC|FOREIGN|PARTITION"


_REST = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s*][^\n]*)"  # a quoted text, or the rest of the line


_PEM = r"[A-Za-z0-9+/=\s\\:,-]"


# The parts between `://` and the last `@`, which may hold `/` and `@`, if they have a password and not a port.
_ADDRESS = re.compile(r"://[^\s\"'<>]*")


_HOST_OR_USER = re.compile(r"://[^/\s:\"'<>]*:(?!\d{1,5}(?:/|\s|$))")


_END_OF_KEY = re.compile(r"-----END [A-Z ]*PRIVATE KEY-----")  # and the lines before it


_LINE_OF_KEY = re.compile(r"[ \t]*[A-Za-z0-9+/=]{1,80}[ \t]*")


_LINES_OF_KEY = 200


# Recognized anywhere, also in Markdown, which may have a backslash before an underscore. The first group stays.
BY_SHAPE = (
    re.compile(
        rf"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----{_PEM}*?"
        rf"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|(?!{_PEM})|\Z)"
    ),
    _END_OF_KEY,
    re.compile(
        r"\b(?:gh[a-z]\\?_|github\\?_pat\\?_|gl(?:pat|dt|rt|ptt|cbt|ft|soat|agent)-|xox[a-z]-|xapp-|AKIA|ASIA|AIza|"
        r"ya29\.|GOCSPX-|dckr\\?_[a-z]{3}\\?_|SG\.|wandb\\?_v\d\\?_|[rs]k\\?_(?:live|test)\\?_|AGE-SECRET-KEY-1)"
        r"[\w\\-]{8,}"
    ),
    re.compile(r"\b(?:sk-|hf\\?_|npm\\?_|pypi-|nvapi-|gsk\\?_|xai-)(?=[A-Za-z\\_-]{0,60}\d)[\w\\-]{8,}"),
    re.compile(r"\b(?:IQoJb3JpZ2lu|FwoGZXIvYXdz)[A-Za-z0-9+/=]{20,}|\bdapi[0-9a-f]{32}"),  # AWS sessions, Databricks
    re.compile(r"(?<![\w/])1//0[\w-]{20,}"),  # Google
    re.compile(r"(?<![\w.~-])[\w.~]{3}\dQ~[\w.~-]{31,}"),  # Azure's clients and storage; no digest `sha512-…`
    re.compile(r"(?<![A-Za-z0-9+/-])[A-Za-z0-9+/]{86}=="),
    re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{8,}\.[\w-]*"),
    re.compile(
        r"(hooks\.slack(?:-gov)?\.com/|discord(?:app)?\.com/api/(?:v\d{1,3}/)?webhooks/|\.webhook\.office\.com/|"
        r"chat\.googleapis\.com/v1/|api\.telegram\.org/bot)[^\s)\"'<>]+"
    ),
    re.compile(r"(?i)([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&\s)\"'<>]+"),
)


# Only for a text that is not ours: our own messages name secrets, and what follows the name is no secret.
BY_NAME = (
    _ADDRESS,
    re.compile(r"(?<=://)[^/\s\"'<>]*(?=@)"),
    re.compile(r"(?i)([?&](?:token|access_token|key|api_?key|code|auth)=)[^&\s\"'<>]+"),
    re.compile(r"(?i)\b((?:bearer|basic)\s+)[\w.~+/=-]{8,}"),
    re.compile(rf"(?i)(?<![\w-])(--?[\w-]{{0,40}}{_NAME}[\w-]{{0,40}}[ =])\s*(?:\"[^\"]*\"|'[^']*'|\S+)"),
    re.compile(r"(?i)(\blogin\s+\S{1,80}\s+password\s+)\S+"),  # netrc
    re.compile(r"(?i)(\bwandb\s+login\s+(?:--[\w-]{1,40}\s+){0,9})[0-9a-f]{40}"),  # looks like a commit
    re.compile(rf"(?i)({_ALWAYS}{_SIGN})(?!{_ORDINARY}){_REST}"),
    re.compile(rf"(?i)({_COUNTABLE}{_SIGN})(?!{_ORDINARY}|{_NUMBER}){_REST}"),
    re.compile(
        rf"(\b(?!(?:{_HARMLESS})_KEY)[A-Z][A-Z0-9_]{{0,60}}_(?:KEY|PAT|DSN)[\"'\]]{{0,3}}[ \t]*[=:][ \t]*){_REST}"
    ),
    re.compile(
        r"\b((?:[A-Z][A-Z0-9_]{0,60})?(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|(?:API|ACCESS|ACCOUNT|PRIVATE|SECRET)_KEY"
        rf"|CREDENTIAL)[A-Z0-9_]{{0,60}}[ \t]+)(?!{_PROSE})[^\s=:*;,.)][^\n]*"
    ),
    re.compile(  # `aws_secret_access_key wJalr…`: of a name in small letters, only what looks like a token
        rf"(?i)\b((?:{_SNAKE_CASE})[\"'\]]{{0,3}}[ \t]+[\"']?)"
        r"(?=[\w.~+/=-]{0,100}\d)(?=[\w.~+/=-]{0,100}[a-z])[\w.~+/=-]{8,}"
    ),
)


_WITH_PASSWORD = re.compile(r"(?<=://)[^/\s:@\"'<>]{1,1000}:(?!\d{1,5}(?:/|\s|$))[^\s@\"'<>]{1,1000}(?=@)")


# Of a setting: no name before it is needed.
UNMISTAKABLE = (*BY_SHAPE, _WITH_PASSWORD)


def found(text: str, patterns: tuple[re.Pattern[str], ...]) -> list[Span]:
    """The places of what these patterns find in the text, also if it is escaped or colored there."""
    spans = list(_spans(text, patterns))
    view = secret_spellings.readable(text)
    if view.text != text:
        spans += [(view.starts[first], view.ends[last - 1]) for first, last in _spans(view.text, patterns)]
    return spans


def _spans(text: str, patterns: tuple[re.Pattern[str], ...]) -> Iterator[Span]:
    for pattern in patterns:
        for found in pattern.finditer(text):
            place = _PLACES.get(pattern, _after_name)
            first, last = place(found)
            if first < last:
                yield first, last


def _after_name(found: re.Match[str]) -> Span:
    """All that was found, or what follows the first group."""
    return found.end(1) if found.re.groups else found.start(), found.end()


def _before_host(found: re.Match[str]) -> Span:
    """User and password of an address; nothing if it has no password."""
    head, end = _HOST_OR_USER.match(found[0]), found[0].rfind("@")
    return (found.start() + len("://"), found.start() + end) if head and head.end() <= end else (0, 0)


def _with_lines_before(found: re.Match[str]) -> Span:
    """The end of a private key, and its lines: its head may be cut off."""
    text, first = found.string, found.start()
    for _ in range(_LINES_OF_KEY):
        start = text.rfind("\n", 0, max(first - 1, 0)) + 1
        if not _LINE_OF_KEY.fullmatch(text, start, max(first - 1, 0)):
            break
        first = start
    return first, found.end()


_PLACES: dict[re.Pattern[str], Callable[[re.Match[str]], Span]] = {
    _ADDRESS: _before_host,
    _END_OF_KEY: _with_lines_before,
}
