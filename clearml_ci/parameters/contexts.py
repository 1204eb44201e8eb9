"""The hidden parameter `_context`: what the job read on GitHub, for steps whose agent has no credentials."""

from collections.abc import Sequence
from typing import TypedDict


class FactsDocument(TypedDict):
    """What the job read on GitHub about `commit`, for agents without credentials."""

    commit: str
    main_commits: Sequence[str]
    reusable_commits: Sequence[str]
    approved: bool


class CheckContext(TypedDict):
    """The hidden parameter `_context` of a check or promotion. `labeled_commit`: the commit that the label approved."""

    repository: str
    repositories: list[str]
    github_api: str
    author: str
    head_repository: str
    head_url: str
    labeled_by: str
    labeled_commit: str
    base: str
    default_branch: str
    facts: FactsDocument
    comment_authors: list[str]
    ignored_paths: list[str]
    waited_for: bool


class AuditContext(TypedDict):
    """The hidden parameter `_context` of an audit. `recent`: the newest commits of the default branch, `base`."""

    repository: str
    clone_url: str
    github_api: str
    base: str
    repositories: list[str]
    comment_authors: list[str]
    recent: list[str]
    waited_for: bool
