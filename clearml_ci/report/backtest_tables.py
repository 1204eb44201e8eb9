"""The tables of a backtest as plain texts, which a terminal, a comment and ClearML's page show."""

from collections.abc import Iterator, Sequence

from clearml_ci.core.formatting import count
from clearml_ci.decisions import backtest
from clearml_ci.decisions.backtest import RED, RELIABLE, Backtest, Replayed
from clearml_ci.decisions.calibration import Figures
from clearml_ci.report.noise_table import two_digits
from clearml_ci.report.run_tables import Table

MOST_CHECKS = 20  # rows of a table of checks


_ROWS = (
    ("checks judged", "judged"),
    ("red", "red"),
    ("green", "green"),
    ("undecided", "undecided"),
    ("merges judged", "merges"),
    ("undone later, and red", "red_undone"),
    ("undone later, and green", "green_undone"),
    ("undone later, and undecided", "undecided_undone"),
    ("merged, never undone, and red", "red_kept"),
    ("more trainings wanted", "trainings"),
)


def counts(tests: Sequence[Backtest]) -> Table:
    """A row for each number, a column for each policy."""
    numbers = [test.counts for test in tests]
    rows = [(name, *(f"{getattr(found, field):,}" for found in numbers)) for name, field in _ROWS]
    left_out = ("left out", *(f"{sum(test.left_out.values()):,}" for test in tests))
    return Table(("", *(test.name for test in tests)), [*rows, left_out], (3, *(2 for _ in tests)))


def gates(tests: Sequence[Backtest]) -> Table:
    """A row for each gate of each policy: false alarms, and the smallest loss that is seen, with today's noise."""
    rows = [
        (test.name, name, called, _allowed(found), _noise(found), _alarms(found), _seen(found))
        for test in tests
        for name, figures in test.figures.items()
        for called, found in _shown(figures)
    ]
    headers = ("policy", "tasks", "gate", "max_regression", "noise", "false alarms, at most", "smallest visible loss")
    return Table(headers, rows, (2, 2, 2, 1, 1, 1, 1))


def checks(tests: Sequence[Backtest]) -> Table:
    """A row for each check that two policies judge differently; of one policy, for each that it makes red."""
    if len(tests) < 2:
        rows = [_row(found, [found]) for test in tests for found in test.replayed if found.color == RED]
    else:
        rows = [_row(found.second, [found.first, found.second]) for found in backtest.differences(*tests[:2])]
    headers = ("pull request", "commit", "was", *(test.name for test in tests), "since", "reason")
    return Table(headers, rows, (1, 1.5, 1.5, *(1.5 for _ in tests), 2, 4))


def left_out(tests: Sequence[Backtest]) -> list[str]:
    """`3 checks left out by main: no task of …`, a line for each reason."""
    return [
        f"{count(number, 'check')} left out by {test.name}: {why}"
        for test in tests
        for why, number in test.left_out.items()
    ]


def notes(tests: Sequence[Backtest]) -> Iterator[str]:
    """Notes on the figures, without which a reader may take them for more than they are."""
    if tests and not any(test.is_reliable for test in tests):
        merges = max(test.counts.merges for test in tests)
        yield f"only {count(merges, 'merge')} could be judged, and {RELIABLE} are needed: the figures are not reliable"
    if tests and not any(test.counts.undone for test in tests):
        yield "no merge that was judged was undone later, so nothing shows whether a loss is found"


def _row(shown: Replayed, found: Sequence[Replayed]) -> tuple[str, ...]:
    check, past = shown.past.check, shown.past
    state = past.undone or ("merged" if past.merged else "-")
    return (
        f"#{check.pull_request.number}",
        check.commit[:10],
        past.recorded.words if past.recorded else "-",
        *(each.color or "left out" for each in found),
        state,
        shown.why,
    )


def _shown(figures: Sequence[Figures]) -> list[tuple[str, Figures]]:
    """The figures of each gate with its name; of the slices of a pattern those of the one that sees the least."""
    plain = [(found.gate.name, found) for found in figures if not found.gate.slice_of]
    slices: dict[str, list[Figures]] = {}
    for found in figures:
        if found.gate.slice_of:
            slices.setdefault(found.gate.slice_of, []).append(found)
    worst = {pattern: max(of_pattern, key=_relative) for pattern, of_pattern in slices.items()}
    return plain + [
        (f"{found.gate.name}, the worst of {count(len(slices[pattern]), 'slice')}", found)
        for pattern, found in worst.items()
    ]


def _relative(found: Figures) -> float:
    return -1.0 if found.seen is None else found.seen / (abs(found.mean) if found.gate.relative and found.mean else 1)


def _allowed(found: Figures) -> str:
    return f"{found.gate.tolerance:g} %" if found.gate.relative else f"{found.gate.tolerance:g}"


def _noise(found: Figures) -> str:
    return two_digits(found.noise.sd) if found.seen is not None else "unknown"


def _alarms(found: Figures) -> str:
    if found.alarms is None:
        return "-"
    percent = 100 * found.alarms
    return f"{percent:.1f} %" if percent >= 0.05 else "less than 0.1 %"


def _seen(found: Figures) -> str:
    if found.seen is None:
        return "-"
    if found.gate.relative and found.mean:
        return f"{two_digits(100 * found.seen / abs(found.mean))} %"
    return two_digits(found.seen)
