"""Where the agents get this project's own code from: as configured, or the origin and HEAD of this checkout."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from clearml_ci import repository
from clearml_ci.errors import UsageError


@dataclass(frozen=True)
class Source:
    """A git repository's address and a commit's full hash."""

    repository: str
    commit: str


def of_agents(*, configured_repository: str, configured_commit: str) -> Source:
    """Raises UsageError where nothing is configured and this is no git checkout with an origin."""
    address = configured_repository or _git("remote", "get-url", "origin")
    if "://" not in address and Path(address).exists():
        address = Path(address).resolve().as_uri()  # Task.create fails on a bare local path
    return Source(repository.without_credentials(address), configured_commit or _git("rev-parse", "HEAD"))


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    git = subprocess.run(command, capture_output=True, text=True, check=False)
    if git.returncode:
        raise UsageError(
            f"git {' '.join(arguments)} failed where ClearML CI is ({git.stderr.strip()}): "
            "set CLEARML_CI_REPOSITORY and CLEARML_CI_COMMIT to the code that the agents shall run"
        )
    return git.stdout.strip()
