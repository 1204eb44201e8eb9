"""Patterns of secrets: their own form, or the name before them. Each takes linear time."""

import re
from collections.abc import Callable

Replacement = str | Callable[[re.Match[str]], str]


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


_REST = r"(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s*][^\n]*)"  # a quoted text, or the rest of the line


_PEM = r"[A-Za-z0-9+/=\s\\:,-]"


_HOST_OR_USER = re.compile(r"(?<=://)[^/\s:\"'<>]*:(?!\d{1,5}(?:/|\s|$))")  # and no port after it


def _without_password(found: re.Match[str]) -> str:
    """An address without what stands before its last `@` if that has a password, which may hold `/` and `@`."""
    address = found[0]
    end, head = address.rfind("@"), _HOST_OR_USER.search(address)
    return f"{address[: head.start()]}***{address[end:]}" if head and head.end() <= end else address


# Recognized anywhere, also in Markdown, which may have a backslash before an underscore.
BY_SHAPE: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    (
        re.compile(
            rf"-----BEGIN [A-Z ]*PRIVATE KEY(?: BLOCK)?-----{_PEM}*?"
            rf"(?:-----END [A-Z ]*PRIVATE KEY(?: BLOCK)?-----|(?!{_PEM})|\Z)"
        ),
        "***",
    ),
    (re.compile(r"(?m)(?:^[ \t]*[A-Za-z0-9+/=]{1,80}[ \t]*\n){1,200}[ \t]*-----END [A-Z ]*PRIVATE KEY-----"), "***"),
    (
        re.compile(
            r"\b(?:gh[a-z]\\?_|github\\?_pat\\?_|glpat-|xox[a-z]-|xapp-|AKIA|ASIA|AIza|ya29\.|dckr\\?_pat\\?_|SG\.)"
            r"[\w\\-]{8,}"
        ),
        "***",
    ),
    (re.compile(r"\b(?:sk-|hf\\?_|npm\\?_|pypi-)(?=[A-Za-z\\_-]{0,60}\d)[\w\\-]{8,}"), "***"),
    (re.compile(r"\beyJ[\w-]{8,1000}\.[\w-]{8,}\.[\w-]*"), "***"),
    (
        re.compile(
            r"(hooks\.slack\.com/|discord(?:app)?\.com/api/webhooks/|\.webhook\.office\.com/|"
            r"chat\.googleapis\.com/v1/|api\.telegram\.org/bot)[^\s)\"'<>]+"
        ),
        r"\1***",
    ),
    (
        re.compile(r"(?i)([?&](?:sig|signature|x-(?:amz|goog)-(?:signature|credential|security-token))=)[^&\s)\"'<>]+"),
        r"\1***",
    ),
)


# Only for a text that is not ours: our own messages name secrets, and what follows the name is no secret.
BY_NAME: tuple[tuple[re.Pattern[str], Replacement], ...] = (
    (re.compile(r"://[^\s\"'<>]*"), _without_password),
    (re.compile(r"(?<=://)[^/\s\"'<>]*@"), "***@"),
    (re.compile(r"(?i)([?&](?:token|access_token|key|api_?key|code|auth)=)[^&\s\"'<>]+"), r"\1***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(rf"(?i)(?<![\w-])(--?[\w-]{{0,40}}{_NAME}[\w-]{{0,40}}[ =])\s*(?:\"[^\"]*\"|'[^']*'|\S+)"), r"\1***"),
    (re.compile(r"(?i)(\blogin\s+\S{1,80}\s+password\s+)\S+"), r"\1***"),  # netrc
    (re.compile(rf"(?i)({_ALWAYS}{_SIGN})(?!{_ORDINARY}){_REST}"), r"\1***"),
    (re.compile(rf"(?i)({_COUNTABLE}{_SIGN})(?!{_ORDINARY}|{_NUMBER}){_REST}"), r"\1***"),
    (
        re.compile(
            r"\b((?:[A-Z][A-Z0-9_]{0,60})?(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|(?:API|ACCESS|ACCOUNT|PRIVATE|SECRET)_KEY"
            rf"|CREDENTIAL)[A-Z0-9_]{{0,60}}[ \t]+)(?!{_PROSE})[^\s=:*;,.)][^\n]*"
        ),
        r"\1***",
    ),
    (  # `aws_secret_access_key wJalr…`: of a name in small letters, only what looks like a token
        re.compile(
            rf"(?i)\b((?:{_SNAKE_CASE})[\"'\]]{{0,3}}[ \t]+[\"']?)"
            r"(?=[\w.~+/=-]{0,100}\d)(?=[\w.~+/=-]{0,100}[a-z])[\w.~+/=-]{8,}"
        ),
        r"\1***",
    ),
)


_WITH_PASSWORD = re.compile(r"(?<=://)[^/\s:@\"'<>]{1,1000}:(?!\d{1,5}(?:/|\s|$))[^\s@\"'<>]{1,1000}@")


# Of a setting: no name before it is needed.
UNMISTAKABLE = (*BY_SHAPE, (_WITH_PASSWORD, "***@"))


def masked(text: str, patterns: tuple[tuple[re.Pattern[str], Replacement], ...]) -> str:
    """The text with what these patterns find replaced."""
    for pattern, replacement in patterns:
        text = pattern.sub(replacement, text)
    return text
