"""The code that the agents run, from real git repositories and from a workflow's `uses:`."""

import json
import subprocess
from pathlib import Path

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.core.git_source import Source
from clearml_ci.job import agent_code

PINNED, BASE = "a" * 40, "b" * 40
OURS, THEIRS, FORK = (f"https://github.com/{name}.git" for name in ("acme/clearml-ci", "team/models", "dev/models"))


def git(checkout: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A Developer", "-c", "user.email=developer@example.com")
    done = subprocess.run(
        ["git", *identity, "-C", str(checkout), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit, of no origin."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "One")
    return tmp_path


def event(tmp_path: Path) -> dict[str, str]:
    """A workflow's variables, on a pull request from a fork."""
    base, head = ({"repo": {"clone_url": url}, "sha": sha} for url, sha in ((THEIRS, BASE), (FORK, "c" * 40)))
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"repository": {"clone_url": THEIRS}, "pull_request": {"base": base, "head": head}}))
    return {"GITHUB_EVENT_PATH": str(path)}


def used_as(name: str, ref: str) -> dict[str, str]:
    return {"CLEARML_CI_ACTION_REPOSITORY": name, "CLEARML_CI_ACTION_REF": ref}


def found(checkout: Path, environ: dict[str, str], *, repository: str = "", commit: str = "") -> Source:
    return agent_code.of_agents(
        configured_repository=repository, configured_commit=commit, environ=environ, checkout=checkout
    )


def test_of_agents__clone__is_its_origin_and_head(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", "https://user:secret@github.com/acme/clearml-ci.git")
    assert found(checkout, event(checkout)) == Source(OURS, git(checkout, "rev-parse", "HEAD"))


@pytest.mark.parametrize("origin", [THEIRS, "git@github.com:Team/models", FORK], ids=["base", "ssh", "fork"])
def test_of_agents__workflows_own_repository__is_the_base_commit(checkout: Path, origin: str) -> None:
    git(checkout, "remote", "add", "origin", origin)
    assert found(checkout, event(checkout)) == Source(THEIRS, BASE)


def test_of_agents__folder_of_the_workflows_repository__says_what_to_do(checkout: Path) -> None:
    git(checkout, "remote", "add", "origin", THEIRS)
    (checkout / "tools").mkdir()
    with pytest.raises(UsageError, match=r"'tools/' of the workflow's own repository.*CLEARML_CI_COMMIT"):
        found(checkout / "tools", event(checkout))


def test_of_agents__action_at_a_commit__is_that_commit_without_asking_anybody(tmp_path: Path) -> None:
    environ = {**used_as("acme/clearml-ci", PINNED), "GITHUB_API_URL": "http://127.0.0.1:9"}
    assert found(tmp_path, environ) == Source(OURS, PINNED)
    enterprise = {**environ, "GITHUB_SERVER_URL": "https://github.example.com"}
    assert found(tmp_path, enterprise).repository == "https://github.example.com/acme/clearml-ci.git"


@pytest.mark.parametrize(
    "path", [f"/r/_work/_actions/acme/clearml-ci/{PINNED}", f"D:\\a\\_actions\\acme\\clearml-ci\\{PINNED}"]
)
def test_of_agents__action_within_another_one__is_the_inner_one(tmp_path: Path, path: str) -> None:
    environ = {**used_as("team/wrapper", "v3"), "GITHUB_ACTION_PATH": path}
    assert found(tmp_path, environ) == Source(OURS, PINNED)


def test_of_agents__folder_of_another_layout__is_what_the_runner_tells(tmp_path: Path) -> None:
    environ = {**used_as("acme/clearml-ci", PINNED), "GITHUB_ACTION_PATH": "/cache/actions/acme-clearml-ci@v1"}
    assert found(tmp_path, environ) == Source(OURS, PINNED)


def test_of_agents__action_at_a_tag_and_no_token__says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'acme/clearml-ci@v1' is read from GitHub: write `uses: acme/clearml-ci@`"):
        found(tmp_path, used_as("acme/clearml-ci", "v1"))


def test_of_agents__configured__asks_neither_git_nor_github(tmp_path: Path) -> None:
    environ = used_as("acme/clearml-ci", "v1")
    assert found(tmp_path, environ, repository=THEIRS, commit=BASE) == Source(THEIRS, BASE)


def test_of_agents__local_path__becomes_an_address(checkout: Path) -> None:
    assert found(checkout, {}, repository=str(checkout), commit=BASE).repository == checkout.resolve().as_uri()


def test_of_agents__neither_action_nor_checkout__says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UsageError, match=r"git remote get-url origin failed.*set CLEARML_CI_REPOSITORY"):
        found(tmp_path, {})


@pytest.mark.parametrize("address", ["owner/clearml-ci", "nowhere"])
def test_of_agents__what_is_no_address__is_refused_with_an_example(address: str) -> None:
    with pytest.raises(UsageError, match=f"'{address}' is no address of a git repository: set CLEARML_CI_REPOSITORY"):
        agent_code.of_agents(configured_repository=address, configured_commit="f" * 40, environ={})
