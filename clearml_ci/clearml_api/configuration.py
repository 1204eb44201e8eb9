"""The addresses, keys and settings of this process for ClearML: the CLEARML_* variables, then clearml.conf.

The SDK parses clearml.conf, and importing it takes most of a step's CPU time. Without a file it is not needed, and not
for the copy that an agent hands to its tasks either, which is JSON.
"""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlparse

from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError

_DEFAULT_API, _DEFAULT_WEB = "https://api.clear.ml", "https://app.clear.ml"  # the SDK's, if nothing is configured


_ACCESS_KEY = ("CLEARML_API_ACCESS_KEY", "TRAINS_API_ACCESS_KEY")
_SECRET_KEY = ("CLEARML_API_SECRET_KEY", "TRAINS_API_SECRET_KEY")


_SECTIONS = ("api", "agent", "sdk", "environment", "files")  # of clearml.conf, which may hold secrets


_FILE = ("CLEARML_CONFIG_FILE", "TRAINS_CONFIG_FILE")
_FOLDER = ("CLEARML_CONFIG_PATH", "TRAINS_CONFIG_PATH")  # of further files, which the SDK merges


class _Settings(Protocol):
    def get(self, key: str, default: Any, /) -> Any: ...


class _Tree:
    """Nested settings by dotted names, as the SDK's are."""

    def __init__(self, tree: Mapping[str, Any]) -> None:
        self._tree = tree

    def get(self, key: str, default: Any, /) -> Any:
        value: Any = self._tree
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value


def _variable(*names: str) -> str:
    return next((text for name in names if (text := os.environ.get(name, "").strip())), "")


def _settings() -> _Settings:
    """The settings of clearml.conf. Raises UsageError if it cannot be parsed."""
    chosen = _variable(*_FILE)
    files = [Path(os.path.expandvars(chosen)).expanduser()] if chosen else _usual_files()
    present = tuple(file for file in files if file.is_file())
    if _variable(*_FOLDER) or len(present) > 1:
        return _of_sdk()
    return _of_file(present[0], present[0].stat().st_mtime_ns) if present else _Tree({})


def _usual_files() -> list[Path]:
    return [Path("~/trains.conf").expanduser(), Path("~/clearml.conf").expanduser()]


@functools.cache
def _of_file(file: Path, changed: int) -> _Settings:  # noqa: ARG001  a changed file is read again
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return _of_sdk()
    return _Tree(tree) if isinstance(tree, dict) else _of_sdk()


def _of_sdk() -> _Settings:
    from clearml.backend_config.errors import ConfigurationError
    from clearml.config import config_obj

    try:
        config_obj.get("api", None)
    except ConfigurationError as error:
        raise UsageError(f"clearml.conf: {redaction.mask(str(error))}; correct it, or run `clearml-init`") from error
    settings: _Settings = config_obj
    return settings


def hold_secrets() -> None:
    """Mask the secrets of clearml.conf from now on. Raises UsageError if it cannot be parsed."""
    settings = _settings()
    redaction.hold(redaction.secrets_of({name: settings.get(name, None) for name in _SECTIONS}))


def api_host() -> str:
    """The address of the API server. Raises UsageError if keys are variables, and no address is configured.

    The SDK sends keys to api.clear.ml then, and they may be those of another server.
    """
    settings = _settings()
    configured = settings.get("api.api_server", None) or settings.get("api.host", None)
    host = _variable("CLEARML_API_HOST", "TRAINS_API_HOST") or str(configured or "")
    if not host and _variable(*_ACCESS_KEY):
        raise UsageError(
            "CLEARML_API_HOST is empty: set it to the address of your ClearML server's API (in a workflow, see whether "
            "the name of its secret is right)"
        )
    return (host or _DEFAULT_API).rstrip("/")


def web_host() -> str:
    """The address of the web server: derived from the API's if it is not configured. Raises UsageError."""
    configured = _variable("CLEARML_WEB_HOST", "TRAINS_WEB_HOST") or str(_settings().get("api.web_server", "") or "")
    if configured:
        return configured.rstrip("/")
    host = api_host()
    if host == _DEFAULT_API:
        return _DEFAULT_WEB
    if "://api." in host:
        return host.replace("://api.", "://app.", 1)
    if _has_usual_port(host):
        return host.replace(":8008", ":8080", 1)
    raise UsageError("the address of ClearML's web UI cannot be derived from the API's address: set CLEARML_WEB_HOST")


def files_host() -> str:
    """The address of the file server that artifacts are stored on; "" if it is another kind of storage, or unknown."""
    settings = _settings()
    host = _variable("CLEARML_FILES_HOST", "TRAINS_FILES_HOST") or str(settings.get("api.files_server", "") or "")
    elsewhere = _variable("CLEARML_DEFAULT_OUTPUT_URI") or settings.get("sdk.development.default_output_uri", "")
    return host.rstrip("/") if host.startswith(("http://", "https://")) and not elsewhere else ""


def _has_usual_port(host: str) -> bool:
    try:
        return urlparse(host).port == 8008
    except ValueError:
        return False


def token() -> str:
    """The token that takes the place of keys; "" without one."""
    return _variable("CLEARML_AUTH_TOKEN")


def keys() -> tuple[str, str]:
    """The access key and the secret key; empty without."""
    settings = _settings()
    access, secret = _variable(*_ACCESS_KEY), _variable(*_SECRET_KEY)
    return (
        access or str(settings.get("api.credentials.access_key", "") or ""),
        secret or str(settings.get("api.credentials.secret_key", "") or ""),
    )


def verify() -> bool | str:
    """The certificates to trust, as `requests` takes them."""
    text = _variable("CLEARML_API_HOST_VERIFY_CERT", "TRAINS_API_HOST_VERIFY_CERT")
    value = text or _settings().get("api.verify_certificate", True)
    if isinstance(value, str) and value.lower() in ("0", "f", "false", "n", "no", "off"):
        return False
    if isinstance(value, str) and value.lower() in ("1", "t", "true", "y", "yes", "on"):
        return True
    return value if isinstance(value, str) else bool(value)
