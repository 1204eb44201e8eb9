"""Requests to a ClearML server whose answers are lost, cut or no JSON: nothing is done twice, nothing is left."""

from collections.abc import Iterator

import pytest

from clearml_ci.clearml_api import session as clearml_session
from clearml_ci.clearml_api.session import ClearML, ClearMLError
from sandbox.runtime.clearml_access import Client
from tests.gateways.between import Losses
from tests.gateways.conftest import Project


@pytest.fixture
def losses() -> Losses:
    return Losses()


@pytest.fixture
def lossy(losses: Losses, user_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[ClearML]:
    """The product's session, through a proxy that harms answers."""
    with losses.proxy(user_environment["CLEARML_API_HOST"]) as address:
        monkeypatch.setenv("CLEARML_API_HOST", address)
        yield clearml_session.connect()


HARMS = ["lost", "cut", "502", "503", "html"]


@pytest.mark.parametrize("harm", HARMS)
def test_call__answer_to_a_change_is_lost__is_not_sent_again(
    lossy: ClearML, losses: Losses, client: Client, project: Project, harm: str
) -> None:
    losses.harms = {"tasks.create": [harm]}
    with pytest.raises(ClearMLError, match=r"tasks\.create: "):
        lossy.call("tasks.create", name="draft", type="training", project=project.id)
    assert losses.sent.count("tasks.create") == 1
    assert len(client.call("tasks.get_all", project=[project.id])["tasks"]) == 1


@pytest.mark.parametrize("harm", [*HARMS, "refused"])
def test_call__answer_to_a_read_is_lost__is_sent_again(
    lossy: ClearML, losses: Losses, project: Project, harm: str
) -> None:
    task = project.task()
    losses.harms = {"tasks.get_all_ex": [harm]}
    assert lossy.call("tasks.get_all_ex", id=[task], only_fields=["id"])["tasks"][0]["id"] == task
    assert losses.sent.count("tasks.get_all_ex") == 2


@pytest.mark.parametrize("harm", [*HARMS, "refused"])
def test_call__no_answer_for_good__is_an_error_that_names_the_endpoint(
    lossy: ClearML, losses: Losses, harm: str
) -> None:
    losses.harms = {"queues.get_all": [harm] * 20}
    with pytest.raises(ClearMLError, match=r"^queues\.get_all: "):
        lossy.call("queues.get_all")


def test_call__token_that_is_refused_and_no_new_one__is_an_error(
    clearml: ClearML, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was revoked: the server refuses the token, and then the key."""
    monkeypatch.setattr(clearml.session, "_Session__secret_key", "revoked")
    clearml.session._set_token("")
    with pytest.raises(ClearMLError, match=r"queues\.get_all: .*refused the keys"):
        clearml.call("queues.get_all")


@pytest.mark.usefixtures("user_environment")
def test_call__token_that_expired__is_renewed_without_a_word(clearml: ClearML) -> None:
    clearml.session._TokenManager__token = "ex.pi.red"  # noqa: S105
    assert "queues" in clearml.call("queues.get_all")
