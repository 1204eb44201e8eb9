"""An action that is used at a moving tag: the commit comes from a local GitHub."""

from pathlib import Path

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.core.git_source import Source
from clearml_ci.job import agent_code
from sandbox.servers import github_server
from sandbox.testing import hub


def environ(server: github_server.GitHubServer, ref: str) -> dict[str, str]:
    return {
        "CLEARML_CI_ACTION_REPOSITORY": hub.FULL_NAME,
        "CLEARML_CI_ACTION_REF": ref,
        "GITHUB_API_URL": server.api_url,
        "GITHUB_TOKEN": server.token("workflow", repository="octo-owner/another", permissions={"contents": "read"}),
    }


def test_of_agents__action_at_a_moving_ref__is_its_commit_of_now(tmp_path: Path) -> None:
    server = github_server.start(tmp_path / "server")
    try:
        one = hub.cloned(server, tmp_path)
        old = hub.git(one.clone, "rev-parse", "HEAD")
        hub.git(one.clone, "tag", "-a", "v1", "-m", "The first one")  # annotated: the tag's own hash is no commit
        hub.git(one.clone, "push", "-q", "origin", "v1")
        new = one.commit("main")
        for ref, commit in {"v1": old, "main": new}.items():
            found = agent_code.of_agents(configured_repository="", configured_commit="", environ=environ(server, ref))
            assert found == Source(one.repository.clone_url, commit)
        with pytest.raises(UsageError, match=r"'octo-owner/digits@v9' is not known: GitHub refused .*full hash"):
            agent_code.of_agents(configured_repository="", configured_commit="", environ=environ(server, "v9"))
    finally:
        server.stop()
