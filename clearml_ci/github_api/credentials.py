"""Read the credentials for GitHub from the environment: a token, or a GitHub App's id and private key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError

APP_ID = "CLEARML_CI_APP_ID"


KEY = "CLEARML_CI_APP_PRIVATE_KEY"


KEY_FILE = "CLEARML_CI_APP_PRIVATE_KEY_FILE"


TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")  # a personal one is used instead of the workflow's own


def api_url(environ: Mapping[str, str]) -> str:
    """The address of GitHub's API; a runner sets it."""
    return environ.get("GITHUB_API_URL", "").strip() or "https://api.github.com"


@dataclass(frozen=True)
class App:
    """A GitHub App: its id (or client id), and a private key of it as PEM text."""

    id: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Credentials:
    """A token, or an App that mints a token for each connection."""

    token: str = field(default="", repr=False)
    app: App | None = None


def token(environ: Mapping[str, str]) -> str:
    """The token of the first of TOKENS that is set, else ""."""
    return next((text for name in TOKENS if (text := environ.get(name, "").strip())), "")


def from_environment(environ: Mapping[str, str]) -> Credentials | None:
    """The credentials, masked from now on; None if no variable is set. Raises UsageError that names the wrong variable.

    An App takes precedence over a token: GITHUB_TOKEN may be set for other tools.
    """
    app, own = _app(environ), token(environ)
    if not app and not own:
        return None
    redaction.hold([own, app.private_key if app else ""])
    return Credentials(app=app) if app else Credentials(token=own)


def _app(environ: Mapping[str, str]) -> App | None:
    number, key = environ.get(APP_ID, "").strip(), _private_key(environ)
    if number and not key:
        raise UsageError(
            f"{APP_ID} is set without a key: put the App's private key (PEM) into {KEY}, or its path into {KEY_FILE}"
        )
    if key and not number:
        raise UsageError(
            f"a private key of a GitHub App is set without {APP_ID}: set it, too; the id is on the App's settings page"
        )
    return App(number, key) if number else None


def _private_key(environ: Mapping[str, str]) -> str:
    text, path = environ.get(KEY, "").strip(), environ.get(KEY_FILE, "").strip()
    if text and path:
        raise UsageError(f"{KEY} and {KEY_FILE} are both set: keep one")
    key = _read(path) if path else text.replace("\\n", "\n")  # one line, as .env files and clearml.conf have it
    if key and not (key.startswith("-----BEGIN ") and "PRIVATE KEY-----" in key):
        raise UsageError(
            f"{KEY_FILE if path else KEY} holds no private key: expected the PEM text that GitHub "
            f"made for the App, from '-----BEGIN' to the end{'' if path else f' (a path goes into {KEY_FILE})'}"
        )
    return key


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise UsageError(f"{KEY_FILE}: {path} cannot be read ({reason}): set the path of the App's PEM file") from error
