"""The figures of drift: few series, so that a rule that finds nothing, or everything, is seen."""

from tools import bench_drift


def test_measure__few_series__finds_large_losses_and_leaves_constant_noise() -> None:
    rows = bench_drift.measure(40)
    assert len(rows) == 2 * (len(bench_drift.CONSTANT) + len(bench_drift.LOSSES))
    assert all(row.found < 0.25 for row in rows if not row.loss_sigma)
    large = [row for row in rows if (row.loss_sigma, row.since) == (3, 5)]
    assert all(row.found > 0.9 and row.covered > 0.8 and row.merges < 6 for row in large)


def test_table__rows__have_percentages() -> None:
    table = bench_drift.table([bench_drift.Row("digits", 35, 3, 5, 0.987, 0.963, 2.42)])
    assert [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")] == [
        *("digits", "35", "3 sigma, 5 runs ago", "98.7", "96.3", "2.4"),
    ]
