import json
import time
from collections.abc import Mapping

import pytest

from clearml_ci.core import comparability
from clearml_ci.core.comparability import Difference, Inputs, MatchRules


def inputs(
    hyperparameters: Mapping[str, str] | None = None,
    packages: Mapping[str, str] | None = None,
    data: Mapping[str, str] | None = None,
    gpu: str = "",
) -> Inputs:
    return Inputs(hyperparameters or {}, packages or {}, data or {}, gpu)


@pytest.mark.parametrize(
    ("candidate", "baseline", "found"),
    [
        pytest.param(inputs({"Args/lr": "1"}), inputs({"Args/lr": "1"}), [], id="same"),
        pytest.param(
            inputs({"Args/lr": "1"}),
            inputs({"Args/lr": "2"}),
            [Difference("hyperparameter", "Args/lr", "1", "2", False)],
            id="hyperparameter",
        ),
        pytest.param(
            inputs({"Args/lr": "1"}),
            inputs({"General/lr": "1"}),
            [
                Difference("hyperparameter", "Args/lr", "1", None, False),
                Difference("hyperparameter", "General/lr", None, "1", False),
            ],
            id="one-sided",
        ),
        pytest.param(
            inputs({"Args/x": ""}),
            inputs(),
            [Difference("hyperparameter", "Args/x", "", None, False)],
            id="empty-is-not-missing",
        ),
        pytest.param(
            inputs(packages={"torch": "2.1"}),
            inputs(packages={"torch": "2.0"}),
            [Difference("package", "torch", "2.1", "2.0", False)],
            id="package",
        ),
        pytest.param(
            inputs(data={"Datasets/train": "a"}),
            inputs(data={"Datasets/train": "b"}),
            [Difference("input", "Datasets/train", "a", "b", False)],
            id="dataset",
        ),
        pytest.param(inputs(gpu="A100"), inputs(gpu="T4"), [Difference("GPU", "type", "A100", "T4", False)], id="gpu"),
        pytest.param(inputs(gpu="A100"), inputs(), [], id="gpu-that-was-not-recorded"),
    ],
)
def test_differences__two_tasks__are_listed(candidate: Inputs, baseline: Inputs, found: list[Difference]) -> None:
    assert comparability.differences(MatchRules(), candidate, baseline) == found


@pytest.mark.parametrize(
    ("policy", "mattering"),
    [
        (MatchRules(), set()),
        (MatchRules(hyperparameters=("Args/dataset",)), {"Args/dataset"}),
        (MatchRules(hyperparameters=("Args/*",)), {"Args/dataset", "Args/lr"}),
        (MatchRules(hyperparameters=("args/dataset",)), {"args/dataset"}),
        (MatchRules(hyperparameters=("dataset",)), {"dataset"}),
        (MatchRules(packages=("Scikit_Learn",)), {"scikit-learn"}),
        (MatchRules(inputs=True), {"Datasets/train"}),
    ],
)
def test_differences__policy__names_what_matters_and_they_come_first(policy: MatchRules, mattering: set[str]) -> None:
    found = comparability.differences(
        policy,
        inputs({"Args/dataset": "a", "Args/lr": "1"}, {"scikit-learn": "1"}, {"Datasets/train": "x"}, "A100"),
        inputs({"Args/dataset": "b", "Args/lr": "2"}, {"scikit-learn": "2"}, {"Datasets/train": "y"}, "T4"),
    )
    assert len([difference for difference in found if difference.candidate]) == 5
    assert {difference.name for difference in found[: len(mattering)]} == mattering
    assert {difference.name for difference in found if difference.matters} == mattering


@pytest.mark.parametrize(
    ("rules", "name"),
    [
        pytest.param(MatchRules(hyperparameters=("Args/dataset", "Args/*")), "Args/dataset", id="hyperparameter"),
        pytest.param(MatchRules(packages=("torch", "scikit-learn")), "torch", id="package"),
        pytest.param(MatchRules(inputs=True), "datasets and models", id="inputs"),
    ],
)
def test_differences__required_input_that_neither_task_recorded__matters(rules: MatchRules, name: str) -> None:
    same = inputs({"Args/lr": "1"}, {"scikit-learn": "1"})
    found = comparability.differences(rules, same, same)
    assert [(difference.name, difference.matters) for difference in found] == [(name, True)]
    assert comparability.violation(found) == f"not comparable: neither task recorded {name}"


SECRET = "hunter2-hunter2"  # noqa: S105  invented for this test


@pytest.mark.parametrize(
    "name", ["Args/api_key", "Args/AWS_SECRET", "Args/hub-token", "Args/Password", "Args/passwd", "Args/credentials"]
)
def test_differences__name_that_looks_secret__shows_no_value(name: str) -> None:
    found = comparability.differences(
        MatchRules(hyperparameters=("*",)), inputs({name: SECRET}), inputs({name: "other-" + SECRET})
    )
    assert [(difference.name, difference.candidate, difference.baseline) for difference in found] == [
        (name, "***", "***")
    ]
    assert SECRET not in json.dumps(comparability.as_documents(found)) + comparability.violation(found)


def test_differences__credentials_in_an_address__are_masked() -> None:
    ours = {"mine": f"git+https://user:{SECRET}@github.com/o/mine.git@1"}
    (found,) = comparability.differences(MatchRules(), inputs(packages=ours), inputs())
    assert found.candidate == "git+https://***@github.com/o/mine.git@1"


def test_violation__what_matters__is_one_sentence() -> None:
    policy = MatchRules(hyperparameters=("Args/*",))
    found = comparability.differences(policy, inputs({"Args/dataset": "a"}), inputs({"Args/dataset": "b"}))
    assert comparability.violation(found) == "not comparable: Args/dataset is a, was b"
    many = comparability.differences(policy, inputs({f"Args/{n}": "x" for n in range(5)}), inputs({"Args/0": ""}))
    assert comparability.violation(many) == (
        "not comparable: Args/0 is x, was empty; Args/1 is x, was not set; Args/2 is x, was not set; and 2 more"
    )
    assert comparability.violation(comparability.differences(MatchRules(), inputs({"Args/a": "1"}), inputs())) == ""


def test_as_documents__endless_differences__are_cut() -> None:
    found = comparability.differences(MatchRules(), inputs({f"Args/{n}": "x" * 10_000 for n in range(2_000)}), inputs())
    documents = comparability.as_documents(found)
    assert (len(found), len(documents), len(json.dumps(documents)) < 50_000) == (2_000, comparability.MOST, True)


def test_differences__endless_values__are_masked_only_as_far_as_they_are_shown() -> None:
    """Masking them whole would take minutes; what no result carries is not read at all."""
    started = time.thread_time()
    found = comparability.differences(
        MatchRules(hyperparameters=("Args/last",)),
        inputs({"Args/last": "a", **{f"Args/{n}": "a b " * 20_000 for n in range(1_000)}}),
        inputs(),
    )
    assert time.thread_time() - started < 30
    assert (found[0].candidate, found[1].candidate, found[-1].candidate) == ("a", ("a b " * 30)[:119] + "…", "***")


def test_differences__secret_in_a_name__is_masked_before_the_name_is_cut() -> None:
    name = f"Args/{'x' * 100} ghp_0123456789abcdefghijklmnop"
    (found,) = comparability.differences(MatchRules(), inputs({name: "1"}), inputs())
    assert found.name == f"Args/{'x' * 100} ***"
