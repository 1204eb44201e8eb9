"""The user's whole clearml.conf, and another one, as the agents of this machine get them.

The SDK parses them: its import takes half a second, so a function that needs it imports it.
"""

import copy
from pathlib import Path
from typing import Any

from clearml_ci.clearml_api import configuration
from clearml_ci.core import redaction
from clearml_ci.core.errors import UsageError

_OF_AGENTS = ("agent", "sdk", "environment", "files")  # sections that an agent or its tasks read, beside `api`


def of_user() -> dict[str, Any]:
    """The sections of the user's configuration; variables count more than the file."""
    from clearml.backend_api.session import Session
    from clearml.config import config_obj

    access_key, secret_key = configuration.keys()
    return {
        **{name: _plain(config_obj.get(name, None)) for name in _OF_AGENTS},
        "api": {
            **_plain(config_obj.get("api", None)),
            "api_server": configuration.api_host(),
            "web_server": configuration.web_host(),
            "files_server": Session.get_files_server_host(),
            "credentials": {"access_key": access_key, "secret_key": secret_key},
        },
    }


def of_file(path: Path) -> dict[str, Any]:
    """The sections of another clearml.conf, whose secrets are masked from now on; its server is the user's.

    Raises UsageError if the file cannot be read, or holds no keys.
    """
    from clearml.utilities.pyhocon import ConfigFactory

    try:
        found = _plain(ConfigFactory.parse_string(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}): name a clearml.conf") from error
    except Exception as error:  # the parser's own kinds, and those of the parser below it
        raise UsageError(f"{path} is no clearml.conf ({type(error).__name__}): correct it") from error
    redaction.hold(redaction.secrets_of(found))
    credentials = _plain(_plain(found.get("api")).get("credentials"))
    if not (credentials.get("access_key") and credentials.get("secret_key")):
        raise UsageError(f"{path} has no api.credentials: write access_key and secret_key into it")
    api = {**of_user()["api"], **_plain(found.get("api")), "credentials": credentials}
    return {**{name: _plain(found.get(name)) for name in _OF_AGENTS}, "api": api}


def _plain(section: Any) -> dict[str, Any]:
    """A section as plain dictionaries; empty if there is none."""
    if not section or not isinstance(section, dict):
        return {}
    as_plain = getattr(section, "as_plain_ordered_dict", None)
    return dict(as_plain()) if as_plain else copy.deepcopy(section)
