"""The code of ClearML CI that the agents run, which must never be that of a pull request.

As configured; else the commit at which a workflow uses this action; else this checkout's origin and HEAD, unless
the checkout is the workflow's own repository: then the base commit of its pull request.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clearml_ci.core import redaction, repository_url
from clearml_ci.core.errors import UsageError
from clearml_ci.core.git_source import Source
from clearml_ci.github_api import credentials, repository_info
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.session import GitHubError
from clearml_ci.job import events
from clearml_ci.job.events import Event

ROOT = Path(__file__).parent.parent.parent


_HASH = re.compile(r"[0-9a-f]{40}")


_FOLDER = re.compile(r"/_actions/(?P<name>[^/]+/[^/]+)/(?P<ref>.+)$")


_CONFIGURE = "set CLEARML_CI_REPOSITORY and CLEARML_CI_COMMIT to the code that the agents shall run"


def of_agents(
    *,
    configured_repository: str,
    configured_commit: str,
    environ: Mapping[str, str],
    checkout: Path = ROOT,
) -> Source:
    """The repository and commit for the agents. Raises UsageError if nothing names them."""
    if configured_repository and configured_commit:
        return _clonable(configured_repository, configured_commit)
    source = _of_action(environ) or _of_checkout(checkout, environ)
    return _clonable(configured_repository or source.repository, configured_commit or source.commit)


def _clonable(address: str, commit: str) -> Source:
    if "://" not in address and Path(address).exists():
        address = Path(address).resolve().as_uri()  # Task.create fails on a bare local path
    if ":" not in address:
        raise UsageError(
            f"'{address}' is no address of a git repository: set CLEARML_CI_REPOSITORY to that of ClearML CI, such as "
            "https://github.com/owner/clearml-ci.git"
        )
    return Source(repository_url.without_credentials(address), commit)


def _of_action(environ: Mapping[str, str]) -> Source | None:
    """The commit of `uses: owner/name@ref`, which leaves a folder without `.git`; None if this is no such action."""
    name, ref = _used_as(environ)
    if not name or not ref:
        return None
    if _HASH.fullmatch(ref):  # no request, since the workflow's token may not see a private action
        return Source(f"{environ.get('GITHUB_SERVER_URL') or 'https://github.com'}/{name}.git", ref)
    advice = f"write `uses: {name}@` with a commit's full hash, or {_CONFIGURE}"
    token = credentials.token(environ)
    if not token:
        raise UsageError(f"GITHUB_TOKEN is not set, and the commit of '{name}@{ref}' is read from GitHub: {advice}")
    try:
        github = github_session.connect(api_url=credentials.api_url(environ), token=token, repository=name)
        return Source(*repository_info.clone_url_and_commit(github, ref=ref))
    except GitHubError as error:
        raise UsageError(f"the commit of '{name}@{ref}' is not known: {error}. If it stays so, {advice}") from error


def _used_as(environ: Mapping[str, str]) -> tuple[str, str]:
    """Repository and ref of this action. Within a composite action the runner's variables name the outer one
    (actions/runner#2473); the folder, `_actions/OWNER/NAME/REF` on its disk, names the inner one.
    """
    outer = environ.get("CLEARML_CI_ACTION_REPOSITORY", ""), environ.get("CLEARML_CI_ACTION_REF", "")
    folder = _FOLDER.search(environ.get("GITHUB_ACTION_PATH", "").replace("\\", "/"))
    return (folder["name"], folder["ref"]) if all(outer) and folder else outer


def _of_checkout(checkout: Path, environ: Mapping[str, str]) -> Source:
    origin, event = _git(checkout, "remote", "get-url", "origin"), _event(environ)
    if not repository_url.is_one_of(origin, _repositories(event)):
        return Source(origin, _git(checkout, "rev-parse", "HEAD"))
    folder = _git(checkout, "rev-parse", "--show-prefix")
    if folder:
        raise UsageError(
            f"ClearML CI lies in '{folder}' of the workflow's own repository, and agents run it from a repository's "
            f"root: write `uses:` with a repository of its own, or {_CONFIGURE}"
        )
    base = events.text(event, "pull_request", "base", "sha")
    return Source(events.text(event, "repository", "clone_url"), base or _git(checkout, "rev-parse", "HEAD"))


def _event(environ: Mapping[str, str]) -> Event:
    """The workflow's event; empty outside a workflow. The settings report what is wrong with it."""
    try:
        event = json.loads(Path(environ.get("GITHUB_EVENT_PATH", "")).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def _repositories(event: Mapping[str, Any]) -> list[str]:
    """Clone addresses of the workflow's repository and of its pull request's head, which may be a fork's."""
    sides = [("repository",), ("pull_request", "head", "repo")]
    return [address for side in sides if (address := events.text(event, *side, "clone_url"))]


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    git = subprocess.run(command, capture_output=True, text=True, check=False)
    if git.returncode:
        reason = redaction.mask(" ".join(git.stderr.split()))
        raise UsageError(f"git {' '.join(arguments)} failed in the checkout of ClearML CI ({reason}): {_CONFIGURE}")
    return git.stdout.strip()
