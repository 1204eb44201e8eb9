import itertools
import socket
from typing import cast

import grimp
import pytest

from tools.faults import arming, catalogue, hand, harms, operations, plan, scenarios
from tools.faults.arming import Lasting, Moment
from tools.faults.catalogue import GITHUB, JOB, KINDS, PHASES, SCENARIOS, STEPS, Phase
from tools.faults.hand import Hand
from tools.faults.plan import BRIEF, Case
from tools.faults.proxy import Exchange, Proxy, Request

ROUND = len(KINDS)


def request(operation: str = "tasks.edit", *, actor: str = STEPS, service: str = "clearml") -> Request:
    return Request(actor, service, operation, "POST", "/", (), b"")


@pytest.mark.parametrize("seed", [0, 7, 123_456])
def test_case__same_seed__same_plan(seed: int) -> None:
    assert plan.case(seed) == plan.case(seed)
    assert plan.case(seed) != plan.case(seed + ROUND)


def test_cases__one_round__every_kind_once() -> None:
    assert sorted(case.kind for case in plan.cases(1000, ROUND)) == sorted(KINDS)


def test_cases__many_rounds__every_phase_and_scenario() -> None:
    cases = plan.cases(0, 40 * ROUND)
    assert {case.phase for case in cases} == {"", *PHASES}
    assert {case.scenario for case in cases} == set(SCENARIOS)


def test_cases__any__the_plan_fits_the_catalogue() -> None:
    for case in plan.cases(0, 10 * ROUND):
        assert case.kind == "none" or case.scenario in catalogue.scenarios(case.kind, case.phase)
        assert case.kind == "none" or PHASES[case.phase].first <= case.nth <= PHASES[case.phase].most
        assert 1 <= case.times <= KINDS[case.kind].times


def test_cases__harm_to_the_controller__never_with_the_brief_one() -> None:
    harmed = [case for case in plan.cases(0, 10 * ROUND) if case.phase.startswith("controller ")]
    assert harmed
    assert BRIEF not in {case.controller for case in harmed}


def test_cases__only__the_first_whose_title_has_the_text() -> None:
    found = plan.cases(0, 3, only="Answer Lost")
    assert [case.kind for case in found] == ["answer lost"] * 3
    with pytest.raises(LookupError, match="earthquake"):
        plan.cases(0, 1, only="earthquake")


def test_catalogue__every_scenario__can_be_prepared() -> None:
    assert set(scenarios.PREPARED) == set(SCENARIOS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("none", "file server is down")])
def test_rule__every_kind__harms_the_moment_and_nothing_before(kind: str) -> None:
    case = next(case for case in plan.cases(0, 1, only=f"| {kind} when"))
    phase = PHASES[case.phase]
    moment = Moment(phase, case.nth, case.times)
    rule = arming.rule(case, moment, cast(Proxy, _Doors()), cast(Hand, _Hand()))
    before = [request(phase.after, actor=phase.actor)] if phase.after else []
    same = request(phase.operations[0], actor=phase.actor, service=phase.service)
    sent = [*before, *itertools.repeat(same, case.nth)]
    answers = [rule(each) for each in sent]
    assert answers[-1] is not None
    assert not any(answers[:-1])


@pytest.mark.parametrize(("left", "told"), [(179.9, b"180"), (2.0, b"2"), (0.2, b"1")])
def test_secondary_limit__retry_after__is_of_whole_seconds(left: float, told: bytes) -> None:
    ours, products = socket.socketpair()
    harms.secondary_limit(403, left)(Exchange(request(service=GITHUB), ours, ("", 0), lambda *_: None))
    assert b"\r\nRetry-After: " + told + b"\r\n" in products.recv(4096)
    ours.close()
    products.close()


class _Doors:
    def doors(self, service: str) -> list[object]:
        assert service in (operations.CLEARML, operations.FILES, operations.GITHUB)
        return []


class _Hand:
    def note(self, text: str) -> None:
        assert text

    def later(self, seconds: float, act: object) -> None:
        assert seconds > 0
        assert callable(act)


def test_acts__every_kind_of_a_process__is_one_of_the_hand() -> None:
    of_processes = {kind for kind in KINDS if "kill" in kind or "SIGTERM" in kind}
    assert of_processes <= hand.ACTS


@pytest.mark.parametrize(
    ("operation", "actor", "hit"),
    [
        ("tasks.edit", STEPS, True),
        ("tasks.edit", JOB, False),
        ("tasks.get_all", STEPS, False),
    ],
    ids=["its own", "another actor's", "another operation"],
)
def test_moment__one_request__counts_only_those_of_its_phase(operation: str, actor: str, *, hit: bool) -> None:
    moment = Moment(Phase(STEPS, "clearml", ("tasks.edit",)), nth=1, times=1)
    assert moment.is_now(request(operation, actor=actor)) is hit


def test_moment__after_an_operation__earlier_requests_do_not_count() -> None:
    moment = Moment(Phase(STEPS, "clearml", ("tasks.edit",), after="tasks.enqueue"), nth=1, times=1)
    seen = [moment.is_now(request(name)) for name in ("tasks.edit", "tasks.enqueue", "tasks.edit", "tasks.edit")]
    assert seen == [False, False, True, False]


def test_moment__several_times__as_many_in_a_row() -> None:
    moment = Moment(Phase(STEPS, "clearml", ("tasks.edit",)), nth=2, times=2)
    assert [moment.is_now(request()) for _ in range(4)] == [False, True, True, False]


def test_lasting__once_begun__befalls_whatever_is_meant() -> None:
    moment = Moment(Phase(STEPS, GITHUB, ("POST statuses/SHA",)), nth=1, times=1)
    rule = Lasting(moment, lambda each: each.service == GITHUB, lambda _: str, seconds=60)
    requests = [request("GET user", service=GITHUB), request("POST statuses/SHA", service=GITHUB)]
    assert [bool(rule(each)) for each in [*requests, requests[0], request()]] == [False, True, True, False]


@pytest.mark.parametrize(
    ("service", "method", "path", "name"),
    [
        ("clearml", "GET", "/v2.23/tasks.get_all_ex", "tasks.get_all_ex"),
        ("files", "POST", "/", "upload"),
        ("files", "GET", "/a/b.json", "download"),
        ("github", "POST", f"/api/v3/repos/o/n/statuses/{'a' * 40}", "POST statuses/SHA"),
        ("github", "GET", "/api/v3/repos/o/n/issues/7/comments?per_page=100", "GET issues/N/comments"),
        ("github", "GET", "/api/v3/repos/o/n/contents/.github/clearml-ci.yml?ref=x", "GET contents/X"),
        ("github", "GET", "/api/v3/repos/o/n", "GET repository"),
        ("github", "GET", "/api/v3/user", "GET user"),
    ],
)
def test_operation__paths_of_both_servers__one_name_for_each(service: str, method: str, path: str, name: str) -> None:
    assert operations.name(service, method, path) == name


def test_laboratory__what_judges__shares_no_code_with_the_product() -> None:
    graph = grimp.build_graph("tools", "clearml_ci", "steps", "pipelines", cache_dir=None)
    for module in ("oracle", "truth", "snapshot"):
        upstream = graph.find_upstream_modules(f"tools.faults.{module}")
        assert not {name for name in upstream if not name.startswith("tools.faults")}, module


def test_case__document__has_what_a_record_needs() -> None:
    case = plan.case(3)
    assert isinstance(case, Case)
    assert {"seed", "scenario", "kind", "phase"} <= case.document().keys()


def test_case__with_real_agents__launches_no_code_whose_end_is_given() -> None:
    """A real agent runs the real training, which is better than the baseline."""
    real = [case for case in plan.cases(1, 2_000, real_share=1.0) if case.agents == plan.REAL]
    assert real and not [case for case in real if "launch" in SCENARIOS[case.scenario].traits]
