"""Credentials from the environment: a token, or a GitHub App."""

from pathlib import Path

import pytest

from clearml_ci.core.errors import UsageError
from clearml_ci.github_api import credentials
from clearml_ci.github_api.credentials import App, Credentials

KEY = "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----"
ESCAPED = KEY.replace("\n", "\\n")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"GITHUB_TOKEN": " ", "GH_TOKEN": ""}, None),
        ({"GITHUB_TOKEN": "one", "GH_TOKEN": "two"}, Credentials("two")),
        ({"GITHUB_TOKEN": "one\n", "GH_TOKEN": " "}, Credentials("one")),
        ({"CLEARML_CI_APP_ID": " 7 ", "CLEARML_CI_APP_PRIVATE_KEY": f"{KEY}\n"}, Credentials(app=App("7", KEY))),
        ({"CLEARML_CI_APP_ID": "7", "CLEARML_CI_APP_PRIVATE_KEY": ESCAPED}, Credentials(app=App("7", KEY))),
        (
            {"CLEARML_CI_APP_ID": "7", "CLEARML_CI_APP_PRIVATE_KEY": KEY, "GITHUB_TOKEN": "one"},
            Credentials(app=App("7", KEY)),
        ),
    ],
    ids=["nothing", "blanks", "two tokens", "a blank one", "App", "App, escaped", "App and token"],
)
def test_from_environment__variables__app_then_token(environ: dict[str, str], expected: Credentials | None) -> None:
    assert credentials.from_environment(environ) == expected


def test_from_environment__key_in_a_file__is_read(tmp_path: Path) -> None:
    file = tmp_path / "app.pem"
    file.write_text(KEY + "\n")
    environ = {"CLEARML_CI_APP_ID": "7", "CLEARML_CI_APP_PRIVATE_KEY_FILE": str(file)}
    assert credentials.from_environment(environ) == Credentials(app=App("7", KEY))


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"CLEARML_CI_APP_ID": "7"}, "CLEARML_CI_APP_ID is set without a key: put"),
        ({"CLEARML_CI_APP_PRIVATE_KEY": KEY}, "is set without CLEARML_CI_APP_ID"),
        (
            {"CLEARML_CI_APP_PRIVATE_KEY": KEY, "CLEARML_CI_APP_PRIVATE_KEY_FILE": "/a"},
            "CLEARML_CI_APP_PRIVATE_KEY and CLEARML_CI_APP_PRIVATE_KEY_FILE are both set: keep one",
        ),
        (
            {"CLEARML_CI_APP_PRIVATE_KEY": "secret.pem"},
            r"CLEARML_CI_APP_PRIVATE_KEY holds no private key: .* \(a path goes into CLEARML_CI_APP_PRIVATE_KEY_FILE\)",
        ),
        ({"CLEARML_CI_APP_PRIVATE_KEY": KEY.replace("PRIVATE", "PUBLIC")}, "holds no private key"),
        ({"CLEARML_CI_APP_PRIVATE_KEY_FILE": "/nowhere/a.pem"}, r"/nowhere/a.pem cannot be read \(No such file"),
    ],
    ids=["id alone", "key alone", "two keys", "path as key", "public key", "no file"],
)
def test_from_environment__half_an_app__says_what_is_missing(environ: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        credentials.from_environment(environ)


def test_credentials__printed__show_no_secret() -> None:
    assert KEY not in repr(Credentials("a-token", App("7", KEY)))
    assert "a-token" not in repr(Credentials("a-token", App("7", KEY)))
