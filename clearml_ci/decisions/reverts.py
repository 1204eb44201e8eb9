"""The merges that a later commit of the default branch reverted, as the messages of commits have it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

_COMMIT = re.compile(r"\bThis reverts commit ([0-9a-f]{7,40})\b", re.IGNORECASE)


_PULL_REQUEST = re.compile(
    r"^Reverts (?:[\w.-]+/[\w.-]+)?#(\d+)\s*$", re.MULTILINE
)  # GitHub's button `Revert` writes it


_SUBJECT = re.compile(r'^(?:Revert|Reapply) "(.*)"(?: \(#\d+\))?$')


_NUMBER = re.compile(r" \(#(\d+)\)$|^Merge pull request #(\d+) ")  # how GitHub ends or begins the message of a merge


@dataclass(frozen=True)
class Message:
    """The message of a commit."""

    commit: str
    text: str

    @property
    def subject(self) -> str:
        """Its first line."""
        return self.text.partition("\n")[0].strip()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Its first line, also without the number of the pull request; and the title that a merge's message repeats."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        title = lines[1:2] if self.subject.startswith("Merge pull request #") else []
        return (self.subject, _NUMBER.sub("", self.subject), *title)

    @property
    def number(self) -> int:
        """The number of the pull request that it merged, 0 if the message has none."""
        found = _NUMBER.search(self.subject)
        return int(found[1] or found[2]) if found else 0


def reverted(messages: Sequence[Message]) -> dict[str, str]:
    """The commits of a branch that were reverted, each with the commit that did it. `messages` are newest first.

    A revert that was reverted itself, so that the change is there again, reverts nothing.
    """
    found: dict[str, str] = {}
    for place, message in enumerate(messages):
        if message.commit in found:
            continue
        for commit in _targets(message, messages[place + 1 :]):
            found.setdefault(commit, message.commit)
    return found


def _targets(message: Message, older: Sequence[Message]) -> list[str]:
    """The older commits that a message names as reverted; a commit of a pull request that was squashed is none."""
    named = {found.lower() for found in _COMMIT.findall(message.text)}
    pulls = {int(number) for number in _PULL_REQUEST.findall(message.text)}
    own = [
        other.commit
        for other in older
        if other.number in pulls or any(other.commit.startswith(prefix) for prefix in named)
    ]
    if own or named or pulls:
        return own or sorted(named)
    subject = _SUBJECT.match(message.subject)
    if subject is None:
        return []
    return [other.commit for other in older if subject[1] in other.subjects][:1]
