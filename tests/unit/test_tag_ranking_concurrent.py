"""Two concurrent moves of the tag, each of which may be interrupted at any step and start again: all orders of steps.

The steps are those of `operations/tag_transfer.py`, over a state that stands for the server; `tag_ranking` itself
decides which task wins and which tags are removed. Tasks are read one after the other, in any order.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import pytest

from clearml_ci.core.gate import Gate, Summary
from clearml_ci.decisions import promotion, tag_ranking
from clearml_ci.decisions.tag_ranking import RankingPolicy, Stamp

GATE = Gate("accuracy", "validation")
POLICIES = {mode: promotion.ranking_policy(mode, (GATE,)) for mode in ("better", "passing", "rollback")}
OLD, FIRST, SECOND = TASKS = ("old", "one", "two")
Kept = tuple[float, str]  # a stamp: its time, and the mode of its policy
BY_HAND: Kept = (0.0, "")  # no stamp: a user tagged the task


class Server(NamedTuple):
    tagged: frozenset[str]
    stamps: tuple[Kept, ...]  # of TASKS
    reading: frozenset[str] = frozenset()  # the tasks whose runs read the tags back


class Mover(NamedTuple):
    """A move of the tag to a task: a promotion in a mode, or the rollback of the promotion of `FIRST`."""

    mode: str
    task: str
    values: tuple[float, ...]  # of TASKS


class Place(NamedTuple):
    """The progress of a move: its next step, and what it knows. `lives`: how often it may still be interrupted."""

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
    """Read the tagged tasks, and end if there is nothing to do."""
    others, carries = server.tagged - {mover.task}, mover.task in server.tagged
    values = dict(zip(TASKS, mover.values, strict=True))
    place = place._replace(known=server.tagged)
    if (carries and not others) or (mover.mode == "rollback" and not {OLD, FIRST} & server.tagged):
        yield server, Place("done", 0)
    elif mover.mode == "better" and any(values[mover.task] < values[other] for other in others):
        yield server, place._replace(step="start_reading", gives_up=True) if carries else Place("done", 0)
    else:
        yield server, place._replace(step="read_stamps")


def read_stamps(server: Server, mover: Mover, place: Place) -> Following:
    stamps = dict(zip(TASKS, server.stamps, strict=True))
    latest = max(stamps[task][0] for task in place.known | {mover.task})
    anew = mover.task in place.known or stamps[mover.task] != BY_HAND
    yield server, place._replace(step="stamp", latest=latest, anew=anew)


def stamp(server: Server, mover: Mover, place: Place) -> Following:
    given = tag_ranking.next_stamp(POLICIES[mover.mode], [Stamp(place.latest, RankingPolicy(""))], now=0.0)
    own = (given.at, mover.mode)
    stamps = tuple(own if task == mover.task else kept for task, kept in zip(TASKS, server.stamps, strict=True))
    yield server._replace(stamps=stamps), place._replace(step="tag")


def tag(server: Server, mover: Mover, place: Place) -> Following:
    step = "wait" if place.anew else "start_reading"
    yield server._replace(tagged=server.tagged | {mover.task}), place._replace(step=step)


def wait(server: Server, mover: Mover, place: Place) -> Following:
    if not server.reading - {mover.task}:
        yield server, place._replace(step="start_reading")


def start_reading(server: Server, mover: Mover, place: Place) -> Following:
    yield server._replace(reading=server.reading | {mover.task}), place._replace(step="read")


def read(server: Server, mover: Mover, place: Place) -> Following:  # noqa: ARG001  all steps are called alike
    left = {*TASKS} - {task for task, _ in place.seen}
    for task in left:
        found = server.stamps[TASKS.index(task)] if task in server.tagged else None
        seen = tuple(sorted((*place.seen, (task, found))))
        yield server, place._replace(seen=seen, step="rank" if len(left) == 1 else "read")


def rank(server: Server, mover: Mover, place: Place) -> Following:
    tagged = {task: kept for task, kept in place.seen if kept}
    takes = (
        tag_ranking.tags_to_remove(tagged, task=mover.task, winner=winner(tuple(tagged.items()), mover))
        if tagged
        else []
    )
    own = [task for task in takes if task == mover.task]
    yield server, place._replace(step="take", seen=(), takes=frozenset(own if place.gives_up else takes))


@cache
def winner(tagged: tuple[tuple[str, Kept], ...], mover: Mover) -> str:
    stamps = {task: Stamp(at, POLICIES[mode]) if mode else None for task, (at, mode) in tagged}
    policy = tag_ranking.ruling_policy(stamps, default=POLICIES[mover.mode])
    values = zip(TASKS, mover.values, strict=True)
    reported = {task: {GATE: Summary(GATE.title, GATE.series, value, value, value)} for task, value in values}
    return tag_ranking.winner(stamps, policy, reported)


def take(server: Server, mover: Mover, place: Place) -> Following:  # noqa: ARG001
    yield server._replace(tagged=server.tagged - place.takes), place._replace(step="end")


def end(server: Server, mover: Mover, place: Place) -> Following:  # noqa: ARG001
    yield server._replace(reading=server.reading - {mover.task}), Place("done", 0)


STEPS: dict[str, Callable[[Server, Mover, Place], Following]] = {
    step.__name__: step for step in (look, read_stamps, stamp, tag, wait, start_reading, read, rank, take, end)
}


def after(server: Server, mover: Mover, place: Place) -> Following:
    """The states after the next step of this move, and after its interruption; none if it waits or has ended."""
    if place.step == "done":
        return
    yield from STEPS[place.step](server, mover, place)
    if place.lives:
        yield server._replace(reading=server.reading - {mover.task}), Place("look", place.lives - 1)


def explore(server: Server, movers: tuple[Mover, ...], lives: tuple[int, ...]) -> set[frozenset[str]]:
    """The tagged tasks at the ends of all orders. Fails if no task is tagged, or if neither move can go on."""
    begin: State = (server, tuple(Place("look", life) for life in lives))
    seen, todo, ends = {begin}, [begin], set()
    while todo:
        now, places = todo.pop()
        assert now.tagged, "no task is tagged"
        following: set[State] = {
            (changed, (*places[:index], place, *places[index + 1 :]))
            for index, mover in enumerate(movers)
            for changed, place in after(now, mover, places[index])
        }
        if not following:
            assert {place.step for place in places} == {"done"}, "both wait"
            ends.add(now.tagged)
        todo += following - seen
        seen |= following
    return ends


PROMOTED, FINISHED = (1.0, "better"), frozenset({FIRST})
INTERRUPTED = frozenset({OLD, FIRST})  # the promotion of FIRST, before it took the tag from OLD
RISING, TURNING = (1.0, 2.0, 3.0), (2.0, 3.0, 2.0)  # the values of TASKS


def world(tagged: frozenset[str], old: Kept = BY_HAND, first: Kept = BY_HAND) -> Server:
    return Server(tagged, (old, first, BY_HAND))


@pytest.mark.parametrize("lives", [(1, 0), (0, 1)], ids=["first-interrupted", "second-interrupted"])
@pytest.mark.parametrize("values", [RISING, TURNING], ids=["rising", "turning"])
@pytest.mark.parametrize(
    ("server", "first", "second"),
    [
        (world(frozenset({OLD})), ("better", FIRST), ("better", SECOND)),
        (world(frozenset({OLD}), PROMOTED), ("passing", FIRST), ("better", SECOND)),
        (world(frozenset({OLD}), PROMOTED), ("passing", FIRST), ("passing", SECOND)),
        (world(INTERRUPTED), ("better", FIRST), ("passing", SECOND)),
        (world(FINISHED, PROMOTED, (2.0, "passing")), ("rollback", OLD), ("better", SECOND)),
        (world(FINISHED, BY_HAND, (2.0, "better")), ("rollback", OLD), ("passing", SECOND)),
        (world(INTERRUPTED, PROMOTED, (2.0, "passing")), ("rollback", OLD), ("better", SECOND)),
        (world(INTERRUPTED, PROMOTED, (2.0, "better")), ("rollback", OLD), ("passing", FIRST)),
        (world(INTERRUPTED, BY_HAND, (2.0, "better")), ("rollback", OLD), ("rollback", OLD)),
    ],
    ids=[
        *("two-better", "mixed-modes", "two-passing", "one-tagged-by-hand"),
        *("rollback-and-better", "rollback-and-passing", "rollback-of-an-interrupted-one"),
        *("rollback-of-the-very-one", "two-rollbacks"),
    ],
)
def test_concurrent_moves__every_order__always_keep_a_tagged_task_and_end_with_one(
    server: Server, first: tuple[str, str], second: tuple[str, str], values: tuple[float, ...], lives: tuple[int, ...]
) -> None:
    ends = explore(server, tuple(Mover(mode, task, values) for mode, task in (first, second)), lives)
    assert {len(tagged) for tagged in ends} == {1}


@pytest.mark.parametrize(("first", "task"), [("passing", FIRST), ("rollback", OLD)])
def test_concurrent_moves__both_interrupted__always_keep_a_tagged_task_and_end_with_one(first: str, task: str) -> None:
    server = world(INTERRUPTED, BY_HAND, (2.0, "passing"))
    ends = explore(server, (Mover(first, task, RISING), Mover("better", SECOND, RISING)), (1, 1))
    assert {len(tagged) for tagged in ends} == {1}


def test_concurrent_moves__without_waiting__can_lose_the_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason for the waiting, and a proof that these tests would find its absence."""
    monkeypatch.setitem(STEPS, "wait", lambda server, _, place: iter([(server, place._replace(step="start_reading"))]))
    with pytest.raises(AssertionError, match="no task is tagged"):
        explore(world(INTERRUPTED), (Mover("passing", FIRST, RISING), Mover("better", SECOND, RISING)), (1, 0))
