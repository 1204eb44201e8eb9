"""The command that interrupts every step at every request: counts the requests first, then cuts at each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tools.faults import every_request, workers
from tools.faults.every_request import Ended
from tools.faults.subjects import AFTER, BEFORE, SUBJECTS, THE_JOB, TWICE, Cut


def run(directory: Path, record: Path, *, only: str, most: int | None, at_once: int) -> int:
    """The exit code: 1 if an interrupted step ended differently. `most`: so many cuts, as many of each."""
    names = [name for name in SUBJECTS if only.lower() in name.lower()]
    clean = {ended.cut.subject: ended for ended in workers.play_cuts([Cut(name) for name in names], at_once, directory)}
    broken = [ended for ended in clean.values() if ended.fault]
    for ended in clean.values():
        print(f"{ended.cut.subject}: {ended.requests} requests {ended.fault}", flush=True)
    if broken:
        return 1
    cuts = spread(list(_cuts([clean[name] for name in names])), most)
    documents = []
    for number, ended in enumerate(workers.play_cuts(cuts, at_once, directory), start=1):
        found = [ended.fault] if ended.fault else every_request.differences(clean[ended.cut.subject], ended)
        if found and _has_run_twice(ended, directory):
            found = []
        documents.append(_document(ended, found))
        print(f"[{number}/{len(cuts)}] {ended.cut.title}: {'ok' if not found else 'DIFFERS'} ({ended.seconds:.1f} s)")
        print("".join(f"    {text}\n" for text in found), end="", flush=True)
        record.write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n")
    count = sum(len(document["violations"]) for document in documents)
    print(f"record: {record}\nfaults: {len(cuts)} cases, {count} violations")
    return 1 if count else 0


def _has_run_twice(ended: Ended, directory: Path) -> bool:
    """True if it ended as a job that is run twice and never killed: it had handed over its run before."""
    if ended.fault or SUBJECTS[ended.cut.subject].step != THE_JOB:
        return False
    (twice,) = workers.play_cuts([Cut(ended.cut.subject, when=TWICE)], 1, directory / "twice")
    return not every_request.differences(twice, ended)


def _cuts(clean: Sequence[Ended]) -> Iterator[Cut]:
    for ended in clean:
        for number in range(1, ended.requests + 1):
            yield from (Cut(ended.cut.subject, number, when) for when in (BEFORE, AFTER))


def spread(cuts: Sequence[Cut], most: int | None) -> list[Cut]:
    """So many of the cuts, as many of each subject, and evenly among its own; all if that is None."""
    if most is None:
        return list(cuts)
    subjects = list(dict.fromkeys(cut.subject for cut in cuts))
    each, more = divmod(most, len(subjects))
    counts = {subject: each + (position < more) for position, subject in enumerate(subjects)}
    own = {subject: [cut for cut in cuts if cut.subject == subject] for subject in subjects}
    return [cut for subject, count in counts.items() for cut in _evenly(own[subject], count)]


def _evenly(cuts: Sequence[Cut], most: int) -> list[Cut]:
    count = min(most, len(cuts))
    return [cuts[(2 * number + 1) * len(cuts) // (2 * count)] for number in range(count)]


def _document(ended: Ended, found: Sequence[str]) -> dict[str, Any]:
    cut = ended.cut
    return {
        "title": cut.title,
        "subject": cut.subject,
        "request": cut.number,
        "when": cut.when,
        "violations": list(found),
        "seconds": round(ended.seconds, 1),
    }
