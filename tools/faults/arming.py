"""From the plan of a case to the rule that the proxy follows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tools.faults import catalogue, harms, operations
from tools.faults.catalogue import KINDS, Phase
from tools.faults.hand import ACTS, Hand
from tools.faults.plan import Case
from tools.faults.proxy import Exchange, Harm, Proxy, Request, Rule, untouched

AWAY_AT_RESTART = 2.0  # seconds without a listener; as long again the gateway answers 503
BEFORE = frozenset({"comment is deleted", "second job", "push", "run is aborted"})  # the request comes after them

_ONCE: dict[str, Harm] = {
    "502 once": harms.page(502),
    "500 once": harms.refused(500, "General data error (connection to the database lost)"),
    "503 burst": harms.page(503),
    "502 after the work": harms.gateway_after,
    "answer lost": harms.lost,
    "answer cut": harms.cut,
    "reset after the work": harms.reset_after,
    "reset before the work": harms.reset_before,
    "slow answer": harms.slow(KINDS["slow answer"].seconds),
    "late answer": harms.slow(KINDS["late answer"].seconds),
    "no answer": harms.silent(KINDS["no answer"].seconds),
    "page instead of JSON": harms.page(200),
    "401 once": harms.refused(401, "Unauthorized (invalid token)"),
    "404": harms.refused(404, "Not Found"),
    "422": harms.refused(422, "Validation Failed"),
}


@dataclass
class Moment:
    """Counts the requests of a phase: `nth` is the first that is meant, `times` how many are."""

    phase: Phase
    nth: int
    times: int
    _begun: bool = False
    _count: int = 0

    def is_now(self, request: Request) -> bool:
        phase = self.phase
        if request.actor != phase.actor:
            return False
        self._begun = self._begun or not phase.after or request.operation == phase.after
        if request.service != phase.service or request.operation not in phase.operations or not self._begun:
            return False
        self._count += 1
        return self.nth <= self._count < self.nth + self.times

    @property
    def over(self) -> bool:
        return self._count >= self.nth


@dataclass
class Lasting:
    """A harm that begins at a moment and then befalls all requests that `meant` takes, until it has lasted."""

    moment: Moment
    meant: Callable[[Request], bool]
    harm: Callable[[float], Harm]
    seconds: float
    _until: float = field(default=0.0)

    def __call__(self, request: Request) -> Harm | None:
        if not self._until and self.moment.is_now(request):
            self._until = time.monotonic() + self.seconds
        left = self._until - time.monotonic()
        return self.harm(left) if left > 0 and self.meant(request) else None


def arm(case: Case, proxy: Proxy, hand: Hand) -> None:
    """From now on the proxy harms according to the plan."""
    if case.kind == "none":
        return
    if case.kind == "file server is down":
        _take_down(proxy, operations.FILES)
        hand.note("the file server is down")
        return
    moment = Moment(catalogue.PHASES[case.phase], case.nth, case.times)
    proxy.rule = rule(case, moment, proxy, hand)


def disarm(proxy: Proxy) -> None:
    """Everything goes through again."""
    proxy.rule = untouched
    for service in (operations.CLEARML, operations.FILES, operations.GITHUB):
        for door in proxy.doors(service):
            door.up()


def rule(case: Case, moment: Moment, proxy: Proxy, hand: Hand) -> Rule:
    """The rule that harms from a moment on."""
    if case.kind in _ONCE:
        return lambda request: _ONCE[case.kind] if moment.is_now(request) else None
    if case.kind in ACTS:
        return lambda request: _acting(case, hand) if moment.is_now(request) else None
    if case.kind in ("server restarts", "server is away"):
        return _outage(case, moment, proxy, hand)
    return _lasting(case, moment)


def _acting(case: Case, hand: Hand) -> Harm:
    def harm(exchange: Exchange) -> str:
        if not case.after or case.kind in BEFORE:
            hand.act(case.kind)
            exchange.send(exchange.forward()) if case.kind in BEFORE else exchange.reset()
            return f"{case.kind}, before the request"
        answer = exchange.forward()
        hand.act(case.kind)
        exchange.send(answer)
        return f"{case.kind}, after the request was carried out"

    return harm


def _outage(case: Case, moment: Moment, proxy: Proxy, hand: Hand) -> Rule:
    """All processes lose one server, and get it back."""
    service, restart = moment.phase.service, case.kind == "server restarts"
    away = AWAY_AT_RESTART if restart else KINDS[case.kind].seconds
    unready = Lasting(moment, lambda request: request.service == service, lambda _: harms.page(503), 2 * away)

    def come_back() -> None:
        for door in proxy.doors(service):
            door.up()
        hand.note(f"{service} is back")

    def rule(request: Request) -> Harm | None:
        began = moment.over
        refused = unready(request)
        if began or not moment.over:
            return refused if restart else None
        hand.note(f"{service} goes away for {away:g} s")
        _take_down(proxy, service)
        hand.later(away, come_back)
        return harms.reset_before

    return rule


def _take_down(proxy: Proxy, service: str) -> None:
    for door in proxy.doors(service):
        door.down()


def _lasting(case: Case, moment: Moment) -> Rule:
    phase, seconds = moment.phase, KINDS[case.kind].seconds

    def of_actor(request: Request) -> bool:
        return (request.actor, request.service) == (phase.actor, phase.service)

    def of_operation(request: Request) -> bool:
        return of_actor(request) and request.operation in phase.operations

    for_ever = 3600.0
    rules: dict[str, Lasting] = {
        "401": Lasting(moment, of_actor, lambda _: harms.refused(401, "Bad credentials"), for_ever),
        "401 and no new token": Lasting(
            moment, of_actor, lambda _: harms.refused(401, "Unauthorized (invalid credentials)"), for_ever
        ),
        "403 from then on": Lasting(
            moment, of_operation, lambda _: harms.refused(403, "Resource not accessible by integration"), for_ever
        ),
        "primary limit": Lasting(moment, of_actor, harms.primary_limit, seconds),
        "primary limit of an hour": Lasting(moment, of_actor, harms.primary_limit, seconds),
        "secondary limit": Lasting(moment, of_actor, lambda left: harms.secondary_limit(403, left + 1), seconds),
        "secondary limit of minutes": Lasting(moment, of_actor, lambda left: harms.secondary_limit(403, left), seconds),
        "429": Lasting(moment, of_actor, lambda left: harms.secondary_limit(429, left + 1), seconds),
    }
    return rules[case.kind]
