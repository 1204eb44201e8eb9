"""Secrets masked: for every text of a console or a parameter that is shown elsewhere."""

import re

_LONGEST = 2_000


_SECRETS = (
    (re.compile(r"(://)[^/\s@]+@"), r"\1***@"),
    (re.compile(r"\b(?:gh[a-z]_|github_pat_|glpat-|xox[a-z]-|sk-|hf_|AKIA)[A-Za-z0-9_\-]{8,}"), "***"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), "***"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"), "***"),
    (re.compile(r"(?i)(--?(?:password|passwd|passphrase|secret|token|api[-_]?key)[ =])\s*\S+"), r"\1***"),
    (
        re.compile(
            r"(?i)(?<![\w.-])([\w.-]*?(?:passw(?:or)?d|passphrase|pwd|secret|token|api_?key|access_?key|account_?key|private_?key|credential)[\w.-]*[\"']?\s*[=:]\s*)"
            r"(\"[^\"]*\"|'[^']*'|\S+)"
        ),
        r"\1***",
    ),
)


def mask(text: str) -> str:
    """The first 2,000 characters of the text, with `***` for what looks like a password, a key or a token.

    Mask a text before you shorten it: half a secret is not recognized.
    """
    text = text[:_LONGEST]
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text
