"""Two movers of the tag at once, each of which may die at any step and begin anew: every order of their steps.

The steps are those of `handover`, over a state that stands for the server; who wins, and what is taken from whom, is
decided by `settling` itself. Nothing is read at one moment: one task after the other, in any order.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import pytest

from clearml_ci.core.gate import Gate, Summary
from clearml_ci.decisions import promotion, tag_ranking
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamp

GATE = Gate("accuracy", "validation")
RULES = {mode: promotion.ranking_policy(mode, (GATE,)) for mode in ("better", "passing", "rollback")}
OLD, ONE, TWO = TASKS = ("old", "one", "two")
Kept = tuple[float, str]  # a stamp: its moment, and the mode of its rule
BY_HAND: Kept = (0.0, "")  # the one of a task that somebody tagged by hand


class Server(NamedTuple):
    tagged: frozenset[str]
    stamps: tuple[Kept, ...]  # of TASKS
    settling: frozenset[str] = frozenset()  # the tasks whose movers are


class Mover(NamedTuple):
    """What is moved to which task: a promotion in a mode, or the rollback of the one of `ONE`."""

    mode: str
    task: str
    values: tuple[float, ...]  # of TASKS


class Place(NamedTuple):
    """How far a mover is: its next step, and what it knows. `lives`: how often it may still die."""

    step: str
    lives: int
    known: frozenset[str] = frozenset()  # that carried the tag when it began
    latest: float = 0.0  # of their stamps
    anew: bool = False
    seen: tuple[tuple[str, Kept | None], ...] = ()
    takes: frozenset[str] = frozenset()
    gives_up: bool = False


State = tuple[Server, tuple[Place, ...]]
Following = Iterator[tuple[Server, Place]]


def look(server: Server, mover: Mover, place: Place) -> Following:
    """What is tagged now, and is there anything to do?"""
    others, carries = server.tagged - {mover.task}, mover.task in server.tagged
    values = dict(zip(TASKS, mover.values, strict=True))
    place = place._replace(known=server.tagged)
    if (carries and not others) or (mover.mode == "rollback" and not {OLD, ONE} & server.tagged):
        yield server, Place("done", 0)
    elif mover.mode == "better" and any(values[mover.task] < values[one] for one in others):
        yield server, place._replace(step="begin_to_settle", gives_up=True) if carries else Place("done", 0)
    else:
        yield server, place._replace(step="ask_stamps")


def ask_stamps(server: Server, mover: Mover, place: Place) -> Following:
    stamps = dict(zip(TASKS, server.stamps, strict=True))
    latest = max(stamps[one][0] for one in place.known | {mover.task})
    anew = mover.task in place.known or stamps[mover.task] != BY_HAND
    yield server, place._replace(step="stamp", latest=latest, anew=anew)


def stamp(server: Server, mover: Mover, place: Place) -> Following:
    given = tag_ranking.next_stamp(RULES[mover.mode], [Stamp(place.latest, RankingPolicy(""))], now=0.0)
    own = (given.at, mover.mode)
    stamps = tuple(own if task == mover.task else one for task, one in zip(TASKS, server.stamps, strict=True))
    yield server._replace(stamps=stamps), place._replace(step="tag")


def tag(server: Server, mover: Mover, place: Place) -> Following:
    step = "wait" if place.anew else "begin_to_settle"
    yield server._replace(tagged=server.tagged | {mover.task}), place._replace(step=step)


def wait(server: Server, mover: Mover, place: Place) -> Following:
    if not server.settling - {mover.task}:
        yield server, place._replace(step="begin_to_settle")


def begin_to_settle(server: Server, mover: Mover, place: Place) -> Following:
    yield server._replace(settling=server.settling | {mover.task}), place._replace(step="read")


def read(server: Server, mover: Mover, place: Place) -> Following:  # noqa: ARG001  all steps are called alike
    left = {*TASKS} - {task for task, _ in place.seen}
    for task in left:
        found = server.stamps[TASKS.index(task)] if task in server.tagged else None
        seen = tuple(sorted((*place.seen, (task, found))))
        yield server, place._replace(seen=seen, step="settle" if len(left) == 1 else "read")


def settle(server: Server, mover: Mover, place: Place) -> Following:
    tagged = {task: kept for task, kept in place.seen if kept}
    takes = (
        tag_ranking.tags_to_remove(tagged, task=mover.task, winner=highest(tuple(tagged.items()), mover))
        if tagged
        else []
    )
    own = [one for one in takes if one == mover.task]
    yield server, place._replace(step="take", seen=(), takes=frozenset(own if place.gives_up else takes))


@cache
def highest(tagged: tuple[tuple[str, Kept], ...], mover: Mover) -> str:
    stamps = {task: Stamp(at, RULES[mode]) if mode else None for task, (at, mode) in tagged}
    by = tag_ranking.ruling_policy(stamps, default=RULES[mover.mode])
    values = zip(TASKS, mover.values, strict=True)
    reported = {task: {GATE: Summary(GATE.title, GATE.series, value, value, value)} for task, value in values}
    return tag_ranking.winner(stamps, by, reported)


def take(server: Server, mover: Mover, place: Place) -> Following:  # noqa: ARG001
    yield server._replace(tagged=server.tagged - place.takes), place._replace(step="end")


def end(server: Server, mover: Mover, place: Place) -> Following:  # noqa: ARG001
    yield server._replace(settling=server.settling - {mover.task}), Place("done", 0)


STEPS: dict[str, Callable[[Server, Mover, Place], Following]] = {
    step.__name__: step for step in (look, ask_stamps, stamp, tag, wait, begin_to_settle, read, settle, take, end)
}


def after(server: Server, mover: Mover, place: Place) -> Following:
    """What may follow on this mover's next step, its death included: nothing where it waits or has ended."""
    if place.step == "done":
        return
    yield from STEPS[place.step](server, mover, place)
    if place.lives:
        yield server._replace(settling=server.settling - {mover.task}), Place("look", place.lives - 1)


def explore(server: Server, movers: tuple[Mover, ...], lives: tuple[int, ...]) -> set[frozenset[str]]:
    """What is tagged at the ends of all orders. Fails where nothing is tagged, or nobody can go on."""
    begin: State = (server, tuple(Place("look", one) for one in lives))
    seen, todo, ends = {begin}, [begin], set()
    while todo:
        now, places = todo.pop()
        assert now.tagged, "there is no best"
        following: set[State] = {
            (changed, (*places[:one], place, *places[one + 1 :]))
            for one, mover in enumerate(movers)
            for changed, place in after(now, mover, places[one])
        }
        if not following:
            assert {place.step for place in places} == {"done"}, "everybody waits"
            ends.add(now.tagged)
        todo += following - seen
        seen |= following
    return ends


PROMOTED, FINISHED = (1.0, "better"), frozenset({ONE})
INTERRUPTED = frozenset({OLD, ONE})  # the promotion of ONE, before it took the tag from OLD
RISING, TURNING = (1.0, 2.0, 3.0), (2.0, 3.0, 2.0)  # the values of TASKS


def world(tagged: frozenset[str], old: Kept = BY_HAND, one: Kept = BY_HAND) -> Server:
    return Server(tagged, (old, one, BY_HAND))


@pytest.mark.parametrize("lives", [(1, 0), (0, 1)], ids=["first-may-die", "second-may-die"])
@pytest.mark.parametrize("values", [RISING, TURNING], ids=["rising", "turning"])
@pytest.mark.parametrize(
    ("server", "first", "second"),
    [
        (world(frozenset({OLD})), ("better", ONE), ("better", TWO)),
        (world(frozenset({OLD}), PROMOTED), ("passing", ONE), ("better", TWO)),
        (world(frozenset({OLD}), PROMOTED), ("passing", ONE), ("passing", TWO)),
        (world(INTERRUPTED), ("better", ONE), ("passing", TWO)),
        (world(FINISHED, PROMOTED, (2.0, "passing")), ("rollback", OLD), ("better", TWO)),
        (world(FINISHED, BY_HAND, (2.0, "better")), ("rollback", OLD), ("passing", TWO)),
        (world(INTERRUPTED, PROMOTED, (2.0, "passing")), ("rollback", OLD), ("better", TWO)),
        (world(INTERRUPTED, PROMOTED, (2.0, "better")), ("rollback", OLD), ("passing", ONE)),
        (world(INTERRUPTED, BY_HAND, (2.0, "better")), ("rollback", OLD), ("rollback", OLD)),
    ],
    ids=[
        *("two-better", "mixed-modes", "two-passing", "one-tagged-by-hand"),
        *("rollback-and-better", "rollback-and-passing", "rollback-of-an-interrupted-one"),
        *("rollback-of-the-very-one", "two-rollbacks"),
    ],
)
def test_two_at_once__every_order__there_is_always_a_best_and_in_the_end_one(
    server: Server, first: tuple[str, str], second: tuple[str, str], values: tuple[float, ...], lives: tuple[int, ...]
) -> None:
    ends = explore(server, tuple(Mover(mode, task, values) for mode, task in (first, second)), lives)
    assert {len(tagged) for tagged in ends} == {1}


@pytest.mark.parametrize(("first", "task"), [("passing", ONE), ("rollback", OLD)])
def test_two_at_once__both_may_die__there_is_always_a_best_and_in_the_end_one(first: str, task: str) -> None:
    server = world(INTERRUPTED, BY_HAND, (2.0, "passing"))
    ends = explore(server, (Mover(first, task, RISING), Mover("better", TWO, RISING)), (1, 1))
    assert {len(tagged) for tagged in ends} == {1}


def test_two_at_once__nobody_waits_for_who_is_settling__there_is_no_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the waiting is for; and that these tests would see it."""
    monkeypatch.setitem(
        STEPS, "wait", lambda server, _, place: iter([(server, place._replace(step="begin_to_settle"))])
    )
    with pytest.raises(AssertionError, match="there is no best"):
        explore(world(INTERRUPTED), (Mover("passing", ONE, RISING), Mover("better", TWO, RISING)), (1, 0))
