"""Trains a small neural network on scikit-learn's handwritten digits and reports to ClearML."""

import argparse
import json
from pathlib import Path

from clearml import Task
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

CONFIGURATION = json.loads((Path(__file__).parent / "config.json").read_text())


def read_arguments() -> argparse.Namespace:
    defaults = CONFIGURATION["training"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hidden-units", type=int, default=defaults["hidden_units"])
    parser.add_argument("--learning-rate", type=float, default=defaults["learning_rate"])
    parser.add_argument("--epochs", type=int, default=defaults["epochs"])
    parser.add_argument("--seed", type=int, default=defaults["seed"])
    return parser.parse_args()


def main() -> None:
    # What is switched off here is of no use to this script, and takes time at every start.
    task = Task.init(
        project_name=CONFIGURATION["project"],
        task_name=CONFIGURATION["task"],
        reuse_last_task_id=False,
        auto_connect_frameworks=False,
        auto_resource_monitoring=False,
    )
    arguments = read_arguments()
    logger = task.get_logger()

    digits = load_digits()
    train_images, test_images, train_labels, test_labels = train_test_split(
        digits.data / 16, digits.target, test_size=0.4, random_state=0, stratify=digits.target
    )
    model = MLPClassifier(
        hidden_layer_sizes=(arguments.hidden_units,),
        learning_rate_init=arguments.learning_rate,
        batch_size=50,
        random_state=arguments.seed,
    )
    for epoch in range(arguments.epochs):
        model.partial_fit(train_images, train_labels, classes=digits.target_names)
        accuracy = model.score(test_images, test_labels)
        logger.report_scalar("loss", "train", value=model.loss_, iteration=epoch)
        logger.report_scalar("accuracy", "validation", value=accuracy, iteration=epoch)
        logger.report_text(f"epoch {epoch}: loss {model.loss_:.4f}, accuracy {accuracy:.4f}")
    logger.report_single_value("final accuracy", accuracy)
    task.close()


if __name__ == "__main__":
    main()
