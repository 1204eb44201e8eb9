from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class PullRequest:
    """The pull request as GitHub described it; `repositories` are the addresses that its code may come from.

    `head_url` is where its code is cloned from, without credentials.
    """

    repository: str
    number: int
    repositories: tuple[str, ...]
    github_api: str
    author: str = ""
    head_repository: str = ""  # owner/name, empty where the fork was deleted
    head_url: str = ""
    labeled_by: str = ""  # who put the label of approval on it, in the event that started this very check
    base: str = ""  # the branch that it is to be merged into
    default_branch: str = ""

    @property
    def is_fork(self) -> bool:
        """Does its code come from another repository?"""
        return self.head_repository.lower() != self.repository.lower()


@dataclass(frozen=True)
class Facts:
    """What the job read on GitHub, for agents that cannot: all of it about the checked commit.

    `main_commits` are those of main where the branch left it, `reusable_commits` earlier ones whose evidence still
    counts, and `approved` says that someone who may approved the code of a fork. `committed` are the dates of
    the commits whose tasks may be evidence.
    """

    main_commits: tuple[str, ...] = ()
    reusable_commits: tuple[str, ...] = ()
    approved: bool = False
    committed: Mapping[str, str] = field(default_factory=dict)
