"""Check runs on the local GitHub: which tokens can write them, their summary and its limit."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from github.CheckRun import CheckRun

from clearml_ci.github_api import check_runs
from clearml_ci.github_api import session as github_session
from clearml_ci.github_api.credentials import App, Credentials
from clearml_ci.github_api.session import GitHub, GitHubError
from sandbox.testing.hub import FULL_NAME, JOB, Hub, proposed
from tests.gateways.between import paged
from tests.gateways.job_session import signed_in

NAME = "ClearML CI / verdict"
RUN = "https://clearml.example/run"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    directory: Path = tmp_path_factory.mktemp("hub")
    made = proposed(directory)
    yield made
    made.server.stop()


@pytest.fixture
def head(hub: Hub) -> str:
    """A commit of its own for each test."""
    return hub.commit("better", text="changed\n")


def seen(hub: Hub, commit: str) -> list[CheckRun]:
    return list(hub.repository.get_commit(commit).get_check_runs())


def as_app(hub: Hub, slug: str) -> GitHub:
    number, key = hub.server.app(slug)
    credentials = Credentials(app=App(str(number), key))
    return github_session.connect(api_url=hub.server.api_url, repository=FULL_NAME, credentials=credentials)


def test_start__workflow_token__is_in_progress_and_links_to_the_run(hub: Hub, head: str) -> None:
    number = check_runs.start(signed_in(hub.server), name=NAME, commit=head, url=RUN)
    (run,) = seen(hub, head)
    assert (run.id, run.name, run.status, run.details_url) == (number, "ClearML CI / verdict", "in_progress", RUN)


def test_start__response_lost__is_the_one_that_was_started(hub: Hub, head: str) -> None:
    hub.server.lose_reply("POST", "/check-runs")
    number = check_runs.start(signed_in(hub.server), name=NAME, commit=head, url=RUN)
    (run,) = hub.repository.get_commit(head).get_check_runs(filter="all")
    assert run.id == number


@pytest.mark.parametrize("carried", [True, False])
def test_start__page_instead_of_an_answer__is_the_one_that_was_started(hub: Hub, head: str, carried: bool) -> None:
    with paged(hub.server.url, method="POST", carried=carried) as address:
        job = signed_in(hub.server, api_url=f"{address}/api/v3")
        number = check_runs.start(job, name=NAME, commit=head, url=RUN)
    (run,) = hub.repository.get_commit(head).get_check_runs(filter="all")
    assert run.id == number


@pytest.mark.parametrize("carried", [True, False])
def test_finish__page_instead_of_an_answer__is_finished(hub: Hub, head: str, carried: bool) -> None:
    number = check_runs.start(signed_in(hub.server), name=NAME, commit=head, url=RUN)
    assert number is not None
    with paged(hub.server.url, method="PATCH", carried=carried) as address:
        job = signed_in(hub.server, api_url=f"{address}/api/v3")
        check_runs.finish(job, number, conclusion="success", title="t", summary="s", url=RUN)
    (run,) = seen(hub, head)
    assert (run.status, run.conclusion) == ("completed", "success")


def test_start__earlier_one_of_a_job_that_was_killed__cancels_it(hub: Hub, head: str) -> None:
    killed = check_runs.start(signed_in(hub.server), name=NAME, commit=head, url="https://clearml.example/earlier")
    others = check_runs.start(as_app(hub, "another"), name=NAME, commit=head, url="https://clearml.example/others")
    number = check_runs.start(signed_in(hub.server), name=NAME, commit=head, url=RUN)
    found = hub.repository.get_commit(head).get_check_runs(filter="all")
    assert {run.id: (run.status, run.conclusion) for run in found} == {
        killed: ("completed", "cancelled"),
        others: ("in_progress", None),
        number: ("in_progress", None),
    }


def test_start__app_and_no_address_yet__is_the_apps_own(hub: Hub, head: str) -> None:
    number = check_runs.start(as_app(hub, "starter"), name=NAME, commit=head, url="")
    (run,) = seen(hub, head)
    assert (run.id, run.app.slug) == (number, "starter")


@pytest.mark.parametrize("kind", ["personal", "workflow", "app"])
def test_start__token_without_permission__is_none(hub: Hub, head: str, kind: str) -> None:
    """A person's token never can, the others need the permission."""
    permissions = JOB if kind == "personal" else {**JOB, "checks": "read"}
    assert (
        check_runs.start(signed_in(hub.server, kind, permissions=permissions), name=NAME, commit=head, url=RUN) is None
    )
    assert seen(hub, head) == []


def test_start__unknown_commit__is_reported(hub: Hub) -> None:
    with pytest.raises(GitHubError, match=f"the check run of 0000000000 of {FULL_NAME}: 422 No commit found"):
        check_runs.start(signed_in(hub.server), name=NAME, commit="0" * 40, url=RUN)


@pytest.mark.parametrize("conclusion", ["success", "failure", "neutral", "cancelled"])
def test_finish__conclusion__completes_with_title_and_summary(hub: Hub, head: str, conclusion: str) -> None:
    job = signed_in(hub.server)
    number = check_runs.start(job, name=NAME, commit=head, url="")
    assert number is not None
    check_runs.finish(job, number, conclusion=conclusion, title="The gate", summary="| a | b |", url=RUN)
    (run,) = seen(hub, head)
    assert (run.status, run.conclusion, run.details_url) == ("completed", conclusion, RUN)
    assert (run.output.title, run.output.summary) == ("The gate", "| a | b |")


@pytest.mark.parametrize(
    ("line", "count"),
    [("x" * 99, 1000), ("é" * 99, 400), ("📈" * 70_000, 1)],
    ids=["lines", "two bytes a character", "one long line"],
)
def test_finish__long_summary__is_cut_to_whole_lines_that_fit(hub: Hub, head: str, line: str, count: int) -> None:
    job = signed_in(hub.server)
    number = check_runs.start(job, name=NAME, commit=head, url="")
    assert number is not None
    check_runs.finish(job, number, conclusion="success", title="t", summary="\n".join([line] * count), url=RUN)
    (run,) = seen(hub, head)
    *kept, end = run.output.summary.split("\n\n")
    assert 64_000 < len(run.output.summary.encode()) <= 65_535
    assert "The rest did not fit" in end
    assert set("".join(kept).split("\n")) == {line} or line.startswith(kept[0])


def test_finish__end__stays_whole_whatever_the_summary_is(hub: Hub, head: str) -> None:
    job = signed_in(hub.server)
    for text in ("s", "<details>\n" + "📈\n" * 70_000):
        number = check_runs.start(job, name=NAME, commit=head, url="")
        assert number is not None
        check_runs.finish(job, number, conclusion="success", title="t", summary=text, end="the end\n", url=RUN)
        run = hub.repository.get_check_run(number)
        kept, _, end = run.output.summary.rpartition("</details>")
        assert ("<details>" in kept, end.endswith("the end\n")) == ("<details>" in text, True)
        assert len(run.output.summary.encode()) <= 65_535


def test_finish__summary_of_exactly_the_limit__is_whole(hub: Hub, head: str) -> None:
    job = signed_in(hub.server)
    number = check_runs.start(job, name=NAME, commit=head, url="")
    assert number is not None
    check_runs.finish(job, number, conclusion="success", title="t", summary="x" * 65_535, url=RUN)
    (run,) = seen(hub, head)
    assert run.output.summary == "x" * 65_535


def test_finish__response_lost__is_finished(hub: Hub, head: str) -> None:
    job = signed_in(hub.server)
    number = check_runs.start(job, name=NAME, commit=head, url="")
    assert number is not None
    hub.server.lose_reply("PATCH", f"/check-runs/{number}")
    check_runs.finish(job, number, conclusion="success", title="t", summary="s", url=RUN)
    (run,) = seen(hub, head)
    assert run.conclusion == "success"


def test_finish__started_by_another_app__is_reported(hub: Hub, head: str) -> None:
    number = check_runs.start(signed_in(hub.server), name=NAME, commit=head, url="")
    assert number is not None
    with pytest.raises(GitHubError) as raised:
        check_runs.finish(as_app(hub, "ender"), number, conclusion="success", title="t", summary="s", url=RUN)
    assert f"GitHub refused the end of check run {number} of {FULL_NAME}: 403 Invalid app_id" in str(raised.value)
    assert "must be of the App that started it" in str(raised.value)
