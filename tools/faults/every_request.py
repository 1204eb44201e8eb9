"""Interrupts a job or a step at one of its requests, starts it again, and compares the end with that of a clean run.

No agent is needed: the steps of a run are started one after another. The process is killed before its n-th request is
carried out, or after it and before the answer, for all n.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tools.faults import digest, oracle, snapshot
from tools.faults import stage as stages
from tools.faults.digest import OF_JOBS, Digest
from tools.faults.launcher import Launcher
from tools.faults.manual_agent import ManualAgent
from tools.faults.play import addresses
from tools.faults.subjects import SUBJECTS, THE_JOB, Cut
from tools.faults.truth import Evidence


@dataclass(frozen=True)
class Ended:
    """The end of a run. `requests`: how many the subject sent in its first try."""

    cut: Cut
    digest: Digest
    requests: int
    violations: tuple[str, ...]
    seconds: float
    fault: str = ""


def play(cut: Cut, directory: Path, launcher: Launcher) -> Ended:
    """Play one subject to its end, interrupted by the cut."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    began = time.monotonic()
    with stages.built(directory, launcher) as stage:
        agent = ManualAgent(stage, SUBJECTS[cut.subject])
        agent.prepare()
        requests = agent.play(cut)
        world = snapshot.read(addresses(stage), agent.truth.commits)
    violations = oracle.judge(Evidence(world, (), agent.truth, stage.secrets))
    shutil.rmtree(directory, ignore_errors=True)
    texts = tuple(f"{violation.rule}: {violation.text}" for violation in violations)
    return Ended(cut, digest.of(world), requests, texts, time.monotonic() - began)


def differences(clean: Ended, interrupted: Ended) -> list[str]:
    """In what an interrupted subject ended differently, one sentence each."""
    subject = SUBJECTS[clean.cut.subject]
    parts = OF_JOBS if subject.step == THE_JOB and subject.plan else ()
    new = [text for text in interrupted.violations if _rule(text) not in map(_rule, clean.violations)]
    return [*digest.differences(clean.digest, interrupted.digest, parts), *new]


def _rule(violation: str) -> str:
    return violation.partition(":")[0]
