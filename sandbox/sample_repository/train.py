"""Trains a small neural network on scikit-learn's handwritten digits and reports to ClearML."""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from clearml import Task
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

CONFIGURATION = json.loads((Path(__file__).parent / "config.json").read_text())


def read_arguments() -> argparse.Namespace:
    """The configuration's training parameters, each of which the command line may change."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in CONFIGURATION["training"].items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    return parser.parse_args()


def load_images(delay_seconds: float) -> list:
    """Training and test images, and their labels; `delay_seconds` makes it as slow as loading a large data set."""
    time.sleep(delay_seconds)
    digits = load_digits()
    return train_test_split(digits.data / 16, digits.target, test_size=0.4, random_state=0, stratify=digits.target)


def take(images: np.ndarray, labels: np.ndarray, *, share: float) -> tuple[np.ndarray, np.ndarray, int]:
    """The first `share` of the images, those that hold no number left out; and how many these were."""
    count = max(1, round(share * len(images)))
    usable = np.isfinite(images[:count]).all(axis=1)
    return images[:count][usable], labels[:count][usable], int(count - usable.sum())


def build_model(*, hidden_units: int, learning_rate: float, seed: int) -> MLPClassifier:
    return MLPClassifier(
        hidden_layer_sizes=(hidden_units,), learning_rate_init=learning_rate, batch_size=50, random_state=seed
    )


def main() -> None:
    # What is switched off here is of no use to this script, and takes time at every start.
    task = Task.init(
        project_name=CONFIGURATION["project"],
        task_name=CONFIGURATION["task"],
        reuse_last_task_id=False,
        auto_connect_frameworks=False,
        auto_resource_monitoring=False,
    )
    given = read_arguments()
    logger = task.get_logger()

    every_image, test_images, every_label, test_labels = load_images(given.delay_seconds)
    train_images, train_labels, skipped = take(every_image, every_label, share=given.dataset_share)
    model = build_model(hidden_units=given.hidden_units, learning_rate=given.learning_rate, seed=given.seed)
    for epoch in range(given.epochs):
        model.partial_fit(train_images, train_labels, classes=range(10))
        accuracy = model.score(test_images, test_labels)
        logger.report_scalar("loss", "train", value=model.loss_, iteration=epoch)
        logger.report_scalar("accuracy", "validation", value=accuracy, iteration=epoch)
        logger.report_scalar("data", "skipped images", value=skipped, iteration=epoch)
        logger.report_text(f"epoch {epoch}: loss {model.loss_:.4f}, accuracy {accuracy:.4f}")
        time.sleep(given.epoch_seconds)
    for number, weight in enumerate(model.coefs_[0].ravel()[: given.logged_weights]):
        logger.report_scalar("weights", f"weight {number}", value=float(weight), iteration=given.epochs - 1)
    predicted = model.predict(test_images)
    for digit in range(given.logged_classes):
        own = test_labels == digit
        share = float((predicted[own] == digit).mean())
        logger.report_scalar("per class", f"digit {digit}", value=share, iteration=given.epochs - 1)
    logger.report_single_value("final accuracy", accuracy)
    task.close()


if __name__ == "__main__":
    main()
