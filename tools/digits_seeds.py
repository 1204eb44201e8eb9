"""Train the sample repository's model with 200 seeds, and write each accuracy to tools/digits_seeds.csv.

    python -m tools.digits_seeds

The training is that of `sandbox/sample_repository/train.py` with its configuration, without ClearML; the accuracy is
the best of its epochs, as a gate reads it. The file is data of the benchmark: write it again if the training changes.
"""

import csv
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SEEDS = 200


OUTPUT = Path(__file__).with_suffix(".csv")
SCRIPT = Path(__file__).parents[1] / "sandbox" / "sample_repository" / "train.py"


def main() -> int:
    """Train, and write a row for each seed."""
    accuracy = _training()
    with OUTPUT.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["seed", "accuracy"])
        rows.writerows([seed, f"{accuracy(seed):.6f}"] for seed in range(SEEDS))
    return 0


def read() -> list[float]:
    """The accuracies, in the order of their seeds."""
    with OUTPUT.open(newline="") as file:
        return [float(row["accuracy"]) for row in csv.DictReader(file)]


def _training() -> Callable[[int], float]:
    """The function that trains with a seed and returns the accuracy."""
    script: dict[str, Any] = runpy.run_path(str(SCRIPT))
    given = script["CONFIGURATION"]["training"]
    images, test_images, labels, test_labels = script["load_images"](0.0)

    def accuracy(seed: int) -> float:
        model = script["build_model"](
            hidden_units=given["hidden_units"], learning_rate=given["learning_rate"], seed=seed
        )
        scores = []
        for _ in range(given["epochs"]):
            model.partial_fit(images, labels, classes=range(10))
            scores.append(float(model.score(test_images, test_labels)))
        return max(scores)

    return accuracy


if __name__ == "__main__":
    sys.exit(main())
