"""Address, keys and client of a ClearML server, the embedded one or any other: only its public API is used."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests

TIMEOUT_SECONDS = 20
VARIABLES = {
    "api_url": "CLEARML_API_HOST",
    "web_url": "CLEARML_WEB_HOST",
    "files_url": "CLEARML_FILES_HOST",
    "access_key": "CLEARML_API_ACCESS_KEY",
    "secret_key": "CLEARML_API_SECRET_KEY",
}


class ClearMLError(Exception):
    """The server refused a call, or could not be reached."""


@dataclass(frozen=True)
class Access:
    """Addresses and keys of one ClearML server."""

    api_url: str
    web_url: str
    files_url: str
    access_key: str
    secret_key: str = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Access:
        missing = [name for name in VARIABLES.values() if not environment.get(name)]
        if missing:
            raise ClearMLError(f"SERVER=env takes the ClearML server from {', '.join(missing)}: set them first")
        return cls(**{key: environment[name].rstrip("/") for key, name in VARIABLES.items()})

    def environment(self) -> dict[str, str]:
        return {name: getattr(self, key) for key, name in VARIABLES.items()}


class Client:
    """A client for the few calls that demo and tests make themselves; the product makes all others."""

    def __init__(self, access: Access) -> None:
        self.access = access
        self._http = requests.Session()
        answer = self._post("auth.login", {}, auth=(access.access_key, access.secret_key))
        self._http.headers["Authorization"] = f"Bearer {answer['token']}"

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """`client.call("tasks.get_all", id=[...])`; raises ClearMLError with the server's message."""
        return self._post(endpoint, body)

    def events(self, events: list[dict[str, Any]]) -> None:
        """Reports events; `events.add_batch` takes JSON lines and not a JSON document."""
        body = "\n".join(json.dumps(event) for event in events)
        url = f"{self.access.api_url}/events.add_batch"
        headers = {"Content-Type": "application/json-lines"}
        self._http.post(url, data=body, headers=headers, timeout=TIMEOUT_SECONDS).raise_for_status()

    def download(self, url: str) -> bytes:
        """A file of the file server; its URL may carry another name of the host than ours."""
        response = self._http.get(url, timeout=TIMEOUT_SECONDS)
        if not response.ok:
            raise ClearMLError(f"{url}: {response.status_code}")
        return response.content

    def delete_file(self, url: str) -> None:
        """Best effort, and only on this server's own file server."""
        if url.startswith(f"{self.access.files_url}/"):
            self._http.delete(url, timeout=TIMEOUT_SECONDS)

    def _post(self, endpoint: str, body: dict[str, Any], **more: Any) -> dict[str, Any]:
        url = f"{self.access.api_url}/{endpoint}"
        try:
            response = self._http.post(url, json=body, timeout=TIMEOUT_SECONDS, **more)
            document = response.json()
        except (requests.RequestException, ValueError) as error:
            raise ClearMLError(f"{url}: no answer of a ClearML API server ({type(error).__name__})") from None
        if not response.ok:
            raise ClearMLError(f"{endpoint}: {document.get('meta', {}).get('result_msg', response.status_code)}")
        data: dict[str, Any] = document.get("data") or {}
        return data
