"""Secrets that must not leave a console or a parameter."""

import pytest

from clearml_ci.core import redaction


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("train.py --password hunter2", "hunter2"),
        ("curl --token=abc", "abc"),
        ("passphrase=open-sesame", "open-sesame"),
        ("AccountKey=abc;EndpointSuffix=x", "abc"),
        ("-----BEGIN RSA PRIVATE KEY----- MIIabc", "MIIabc"),
        ("https://user:" + "s" * 500 + "@host/x", "ssss"),
    ],
    ids=["flag", "flag-with-sign", "passphrase", "account-key", "pem", "long-address"],
)
def test_mask__secret__is_gone(text: str, secret: str) -> None:
    assert secret not in redaction.mask(text)


@pytest.mark.parametrize("text", ["x" * 100_000, "token" * 20_000, "a.b-" * 30_000], ids=["letters", "tokens", "words"])
def test_mask__endless_text__is_cut(text: str) -> None:
    assert len(redaction.mask(text)) <= 2_000


def test_mask__ordinary_text__stays() -> None:
    assert redaction.mask("epoch 3: loss 0.25, basic block 2") == "epoch 3: loss 0.25, basic block 2"
