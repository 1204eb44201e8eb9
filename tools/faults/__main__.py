"""`make faults`: plays seeded cases in which something goes wrong, and prints what should not have come of them.

The last line is `faults: N cases, V violations`; the exit code is 1 if there are any. build/faults.json has a record of
each case. `SEED=n N=1` plays the one case of a seed again. `ONLY=every-request` interrupts each step at each of its
requests instead.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sandbox.runtime import processes
from tools.faults import interruptions, plan, workers
from tools.faults.play import Played

BUILD = Path(__file__).parents[2] / "build"
RECORD = BUILD / "faults.json"
EVERY_REQUEST = "every-request"
FRESH = 10**6  # seeds of a run that names none


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)  # SIGINT too: a shell's background jobs are started with it ignored
    processes.reach_loopback_directly()
    shutil.rmtree(BUILD / "faults", ignore_errors=True)
    try:
        if options.only.startswith(EVERY_REQUEST):
            only = options.only.removeprefix(EVERY_REQUEST).strip(" :")
            return interruptions.run(BUILD / "faults", RECORD, only=only, most=options.n, at_once=options.jobs)
        return _cases(options)
    except KeyboardInterrupt:
        print("interrupted; everything that was started has been stopped")
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.faults", description=__doc__)
    parser.add_argument("-n", type=int, help="how many cases (40), or of every request (all)")
    parser.add_argument("--seed", type=int, help="of the first case; the next ones have the next seeds")
    parser.add_argument("--only", default="", help="only cases whose scenario, kind or phase has this text")
    parser.add_argument("--jobs", type=int, default=6, help="cases side by side (%(default)s); most of them wait")
    parser.add_argument("--real", type=float, default=plan.REAL_SHARE, help="share with real clearml-agents")
    parser.add_argument("--keep", action="store_true", help="keep the files of every case below build/faults")
    return parser.parse_args()


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _cases(options: argparse.Namespace) -> int:
    seed = options.seed if options.seed is not None else int(time.time()) % FRESH
    chosen = plan.cases(seed, options.n or 40, only=options.only, real_share=options.real)
    print(f"faults: {len(chosen)} cases from SEED={seed}, {options.jobs} side by side", flush=True)
    played: list[Played] = []
    for case in workers.play_cases(chosen, options.jobs, BUILD / "faults", keep=options.keep):
        played.append(case)
        _show(case, len(played), len(chosen))
        _write(played)
    return _conclude(played)


def _show(case: Played, number: int, count: int) -> None:
    result = f"{len(case.violations)} violations" if case.violations else "ok"
    result = "FAULT OF THE LABORATORY" if case.fault else result
    note = "" if case.harmed or case.case.kind == "none" or case.fault else ", not harmed"
    print(
        f"[{number}/{count}] SEED={case.case.seed} {case.case.title}: {result}{note} ({case.seconds:.1f} s)", flush=True
    )
    for violation in case.violations:
        print(f"    {violation.rule}: {violation.text}", flush=True)
    if case.violations:
        print(json.dumps(case.document(), indent=1, ensure_ascii=False), flush=True)
    if case.fault:
        print(case.fault, flush=True)


def _write(played: Sequence[Played]) -> None:
    ordered = sorted(played, key=lambda case: case.case.seed)
    RECORD.write_text(json.dumps([case.document() for case in ordered], indent=1, ensure_ascii=False) + "\n")


def _conclude(played: Sequence[Played]) -> int:
    violations = [(case, violation) for case in played for violation in case.violations]
    faults = [case for case in played if case.fault]
    print(f"\nkinds: {_counted([case.case.kind for case in played])}")
    print(f"scenarios: {_counted([case.case.scenario for case in played])}")
    print(f"with real agents: {sum(case.case.agents == plan.REAL for case in played)}")
    print(f"not harmed, because no request came at that place: {sum(_is_idle(case) for case in played)}")
    print(f"an error though a repetition would have passed: {_seeds([case for case in played if case.needless])}")
    print(f"only the next job or audit put it right: {_seeds([case for case in played if case.repaired])}")
    for rule, number in Counter(violation.rule for _, violation in violations).most_common():
        found = [case for case, violation in violations if violation.rule == rule]
        print(f"{rule}: {number}, SEED={_seeds(found)}")
    for case in sorted(played, key=lambda case: -case.seconds)[:3]:
        print(f"slowest: {case.seconds:.1f} s, SEED={case.case.seed} {case.case.title}")
    for case in faults:
        print(f"the laboratory failed at SEED={case.case.seed} {case.case.title}")
    print(f"record: {RECORD}")
    print(f"faults: {len(played)} cases, {len(violations)} violations")
    return 1 if violations or faults else 0


def _is_idle(case: Played) -> bool:
    return not case.harmed and case.case.kind != "none" and not case.fault


def _seeds(played: Sequence[Played]) -> str:
    seeds = list(dict.fromkeys(sorted(case.case.seed for case in played)))
    more = f" and {len(seeds) - 20} more" if len(seeds) > 20 else ""
    return ", ".join(map(str, seeds[:20])) + more or "none"


def _counted(names: Sequence[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in Counter(names).most_common())


if __name__ == "__main__":
    sys.exit(main())
