"""The plan of a case, from its seed alone: which scenario, which harm, at which request. Pure."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from tools.faults import catalogue
from tools.faults.catalogue import CONTROLLERS, KINDS, PHASES, SCENARIOS

TOKEN, APP, NONE = "token", "app", "none"
BRIEF, SDK = "brief", "sdk"
SMALL, REAL = "small", "real"
REAL_SHARE = 0.02  # such a case takes a minute or two, and thirty times the work of others
SDK_SHARE = 0.2
_NOTHING = ""


@dataclass(frozen=True)
class Case:
    """One case. From the `nth` request of the phase on, `times` requests in a row are harmed.

    `agents` and `controller`: small ones, which are fast, or the real ones. `credentials`: what the steps' agent signs
    in to GitHub with. `comes_back`: a killed agent is started anew. `after`: a process is killed when the request was
    carried out, else before. `steps_here`: the steps run with the controller, and have no agent.
    """

    seed: int
    scenario: str
    kind: str
    phase: str
    nth: int
    times: int
    agents: str
    controller: str
    credentials: str
    comes_back: bool
    after: bool
    steps_here: bool

    @property
    def title(self) -> str:
        moment = f" when {self.phase} ({self.nth})" if self.phase else ""
        here = " | steps with their controller" if self.steps_here else ""
        return f"{self.scenario} | {self.kind}{moment}{here}"

    @property
    def deadline(self) -> float:
        """Seconds that its jobs are given: CLEARML_CI_DEADLINE."""
        several = "several" in SCENARIOS[self.scenario].traits
        return 40.0 + 2 * min(KINDS[self.kind].seconds, 60) + 40 * several + 100 * (self.agents == REAL)

    def document(self) -> dict[str, Any]:
        return asdict(self)


def case(seed: int, *, real_share: float = REAL_SHARE) -> Case:
    """The case of a seed. Consecutive seeds go through all kinds, and then through their phases."""
    chance = random.Random(f"fault {seed}")  # noqa: S311  no secret depends on it
    turn, number = divmod(seed, len(KINDS))
    kind = list(KINDS)[number]
    phase = _phase(kind, turn)
    scenario = _scenario(kind, phase, turn, chance)
    first, most, times = (PHASES[phase].first, PHASES[phase].most, KINDS[kind].times) if phase else (1, 1, 1)
    planned = Case(
        seed=seed,
        scenario=scenario,
        kind=kind,
        phase=phase,
        nth=chance.randint(first, most),
        times=chance.randint(min(2, times), times),
        agents=REAL if chance.random() < real_share and not _is_told_its_end(scenario) else SMALL,
        controller=SDK if _needs_sdk(kind, phase) or chance.random() < SDK_SHARE else BRIEF,
        credentials=NONE if "job posts" in SCENARIOS[scenario].traits else chance.choice((TOKEN, TOKEN, TOKEN, APP)),
        comes_back=chance.random() < 0.5,
        after=chance.random() < 0.5,
        steps_here=chance.random() < 0.7,
    )
    return replace(planned, steps_here=planned.steps_here and _can_be_without_queue(planned))


def _is_told_its_end(scenario: str) -> bool:
    """True if training.py plays the pull request's code; a real agent would run the real training, with its own end."""
    return "launch" in SCENARIOS[scenario].traits


def _phase(kind: str, turn: int) -> str:
    """The kinds take turns, and each goes through its own phases in an order of its own."""
    if kind == "none":
        return _NOTHING
    possible = catalogue.phases(kind)
    random.Random(kind).shuffle(possible)  # noqa: S311
    return possible[turn % len(possible)]


def _scenario(kind: str, phase: str, turn: int, chance: random.Random) -> str:
    if phase == _NOTHING:
        return list(SCENARIOS)[turn % len(SCENARIOS)]
    return chance.choice(catalogue.scenarios(kind, phase))


def _needs_sdk(kind: str, phase: str) -> bool:
    """The brief controller asks for nothing that could be harmed, has no deadline, and is no part of the product."""
    waits = "steps' agent" in kind  # for a step that no agent runs any more
    harmed = bool(phase) and PHASES[phase].actor == CONTROLLERS
    return harmed or waits or "controller" in kind or kind == "run is aborted"


def _can_be_without_queue(case: Case) -> bool:
    """False for harm to the steps' agent or queue; the brief controller starts no processes."""
    on_queue = case.phase in ("controller enqueues a step", "controller waits")
    return case.controller == SDK and case.agents == SMALL and not (on_queue or "steps' agent" in case.kind)


def cases(seed: int, count: int, *, only: str = "", real_share: float = REAL_SHARE) -> list[Case]:
    """So many cases, of this seed and the next ones; `only` those whose title has this text."""
    every = (case(number, real_share=real_share) for number in itertools.count(seed))
    return list(itertools.islice(_matching(every, only), count))


def _matching(every: Iterator[Case], only: str) -> Iterator[Case]:
    looked = 0
    for planned in every:
        looked += 1
        if only.lower() in planned.title.lower():
            looked = 0
            yield planned
        elif looked > 10_000:
            raise LookupError(f"no case has '{only}' in its title, such as: {planned.title}")
