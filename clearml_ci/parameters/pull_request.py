"""The pull request of a check."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PullRequest:
    """The pull request as GitHub described it; `repositories` are the addresses that its code may come from.

    `head_url` is the address to clone its code from, without credentials.
    """

    repository: str
    number: int
    repositories: tuple[str, ...]
    github_api: str
    author: str = ""
    head_repository: str = ""  # owner/name, empty if the fork was deleted
    head_url: str = ""
    base: str = ""  # the branch that it is to be merged into
    default_branch: str = ""
    title: str = ""

    @property
    def is_fork(self) -> bool:
        """True if its code comes from another repository."""
        return self.head_repository.lower() != self.repository.lower()


@dataclass(frozen=True)
class Acceptance:
    """A comment that accepts losses of the checked commit; `gate` is "" for all that its writer had seen.

    `seen` is the address of the run whose verdict the commit had when the comment was written, at the time `at`.
    `refusal` is the reason why it does not count, or "".
    """

    by: str
    gate: str
    reason: str
    comment: str
    at: str
    seen: str = ""
    refusal: str = ""


@dataclass(frozen=True)
class Facts:
    """The job's answers from GitHub about the checked commit, for agents without GitHub credentials.

    `main_commits` are the commit at which the branch left its base branch, and the heads that were merged as that.
    `reusable_commits` are earlier commits whose evidence still counts. `approved` is true if a user with write access
    approved the code of a fork. `committed` are the dates of the commits whose tasks may be evidence, `accepted` the
    comments that accept losses.
    """

    main_commits: tuple[str, ...] = ()
    reusable_commits: tuple[str, ...] = ()
    approved: bool = False
    committed: Mapping[str, str] = field(default_factory=dict)
    accepted: tuple[Acceptance, ...] = ()
