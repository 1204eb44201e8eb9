"""Faults that a test orders through the sandbox's own API."""

import socket

from flask import Response, request

from sandbox.servers.github_server import access


def lose_reply(response: Response) -> Response:
    """Cut the connection under a request whose reply is to be lost; its effect stays."""
    store = access.store()
    for ordered in store.replies_to_lose:
        if request.method == ordered[0] and request.path.endswith(ordered[1]) and response.status_code < 400:
            store.replies_to_lose.remove(ordered)
            # waitress hands out its channel in this one place
            request.environ["waitress.client_disconnected"].__self__.socket.shutdown(socket.SHUT_RDWR)
            break
    return response
