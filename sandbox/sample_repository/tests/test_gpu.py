"""Tests of the model that config.json describes; an agent runs them before a change is merged."""

import pytest
import train

TRAINING = train.CONFIGURATION["training"]
GUESSING = 0.1


@pytest.fixture(scope="module")
def accuracies() -> list[float]:
    """Of the test images, after each epoch."""
    train_images, test_images, train_labels, test_labels = train.load_images(delay_seconds=0)
    parameters = {name: TRAINING[name] for name in ("hidden_units", "learning_rate", "seed")}
    model, found = train.build_model(**parameters), []
    for _ in range(TRAINING["epochs"]):
        model.partial_fit(train_images, train_labels, classes=range(10))
        found.append(model.score(test_images, test_labels))
    return found


@pytest.mark.gpu
def test_model_beats_guessing(accuracies: list[float]) -> None:
    assert accuracies[-1] > GUESSING


@pytest.mark.gpu
def test_model_reads_four_of_five_digits(accuracies: list[float]) -> None:
    assert accuracies[-1] >= 0.8
