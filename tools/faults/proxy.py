"""A recording HTTP proxy between the product and the servers, which harms some requests.

Each actor (job, controllers, steps, code) gets an address of its own for each service, so that a rule can harm the
traffic of one process and leave the others alone. GitHub's address is the same for all, because the product refuses a
run that names another one: there the token names the actor.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedReader

from tools.faults import operations

HOST = "127.0.0.1"
UPSTREAM_SECONDS = 60
LONGEST_LINE = 65_536
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "proxy-connection", "content-length"}
)
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """One request as the product sent it; `operation` names what it does, such as `tasks.edit`."""

    actor: str
    service: str
    operation: str
    method: str
    path: str
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """One answer, whole."""

    status: int
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


@dataclass
class Seen:
    """The record of one request; `at` is seconds since the proxy started, `harm` is empty if it went through."""

    at: float
    actor: str
    service: str
    operation: str
    status: int = 0
    harm: str = ""


@dataclass
class Exchange:
    """One request on its connection. A harm forwards it or not, and answers it or not."""

    request: Request
    connection: socket.socket = field(repr=False)
    upstream: tuple[str, int]
    on_answer: Callable[[Request, Answer], None] = field(repr=False)
    status: int = 0
    ended: bool = False

    def forward(self) -> Answer:
        """The server does its work; its answer."""
        link = http.client.HTTPConnection(*self.upstream, timeout=UPSTREAM_SECONDS)
        try:
            link.putrequest(self.request.method, self.request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in _end_to_end(self.request.headers):
                link.putheader(name, value)
            link.putheader("Content-Length", str(len(self.request.body)))
            link.putheader("Connection", "close")
            link.endheaders(self.request.body)
            answer = link.getresponse()
            self.status = answer.status
            whole = Answer(answer.status, answer.getheaders(), answer.read())
            self.on_answer(self.request, whole)
            return whole
        finally:
            link.close()

    def send(self, answer: Answer, *, share: float = 1.0) -> None:
        """Answer the product; with a `share` below one the connection ends in the middle of the body."""
        phrase = http.client.responses.get(answer.status, "Unknown")
        lines = [
            f"HTTP/1.1 {answer.status} {phrase}",
            *(f"{key}: {value}" for key, value in _end_to_end(answer.headers)),
        ]
        head = "\r\n".join([*lines, f"Content-Length: {len(answer.body)}", "", ""]).encode("latin-1")
        self.connection.sendall(head + answer.body[: int(len(answer.body) * share)])
        self.ended = share < 1.0

    def close(self) -> None:
        """End the connection as a server that stops does."""
        self.ended = True

    def reset(self) -> None:
        """End the connection with RST, as a crashed server or a firewall does."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.ended = True


def _end_to_end(headers: Headers) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


Harm = Callable[[Exchange], str]
Rule = Callable[[Request], Harm | None]
Listener = Callable[[Request, Answer], None]


def untouched(_: Request) -> None:
    """The rule that harms nothing."""


def unheard(_: Request, __: Answer) -> None:
    """The listener that does nothing."""


class Proxy:
    """All addresses of one case, what went through them, and the rule that harms some of it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.seen: list[Seen] = []
        self.rule: Rule = untouched
        self.on_answer: Listener = unheard
        self._actors: dict[str, str] = {}
        self._doors: dict[tuple[str, str], Door] = {}
        self._lock = threading.Lock()

    def open(self, actor: str, service: str, upstream: str) -> str:
        """The address at which this actor reaches this service; without an actor, all do."""
        self._doors[actor, service] = Door(self, actor, service, upstream)
        return self._doors[actor, service].url

    def doors(self, service: str, actor: str = "") -> list[Door]:
        """The addresses of a service, of one actor or of all."""
        return [door for door in self._doors.values() if door.service == service and actor in ("", door.actor)]

    def name_actor(self, token: str, actor: str) -> None:
        """Requests with this token are this actor's."""
        self._actors[token] = actor

    def actor_of(self, headers: Headers) -> str:
        """The actor that a token belongs to."""
        sent = next((value for key, value in headers if key.lower() == "authorization"), "")
        return self._actors.get(sent.partition(" ")[2].strip(), "unknown")

    def handle(self, exchange: Exchange) -> None:
        """Let a request through, or harm it."""
        request = exchange.request
        with self._lock:
            seen = Seen(self.now(), request.actor, request.service, request.operation)
            self.seen.append(seen)
            harm = self.rule(request)
        if harm is None:
            answer = exchange.forward()
            seen.status = answer.status
            exchange.send(answer)
            return
        seen.harm = "harmed"
        try:
            seen.harm = harm(exchange)
        finally:
            seen.status = exchange.status

    def now(self) -> float:
        return time.monotonic() - self.began

    def idle_seconds(self) -> float:
        """Seconds since the newest request."""
        with self._lock:
            return self.now() - (self.seen[-1].at if self.seen else 0.0)

    def close(self) -> None:
        for door in self._doors.values():
            door.down()


class Door:
    """One address of the proxy: those who know it are one actor, and it leads to one service."""

    def __init__(self, proxy: Proxy, actor: str, service: str, upstream: str) -> None:
        self.actor, self.service = actor, service
        self._proxy = proxy
        host, _, port = upstream.removeprefix("http://").partition("/")[0].partition(":")
        self._upstream = (host, int(port))
        self._port = 0
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.up()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    def up(self) -> None:
        """Take connections, on the same port as before."""
        with self._lock:
            if self._listener is not None:
                return
            listener = socket.socket()
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((HOST, self._port))
            listener.listen(64)
            self._port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and end those that are open, as a server that went away."""
        with self._lock:
            listener, self._listener = self._listener, None
            held, self._open = self._open, set()
        for each in (*held, *([listener] if listener else [])):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        if listener:
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        try:
            while request := self._read(connection, stream):
                exchange = Exchange(request, connection, self._upstream, self._proxy.on_answer)
                self._proxy.handle(exchange)
                if exchange.ended:
                    return
        except (OSError, ValueError, http.client.HTTPException):
            return
        finally:
            with self._lock:
                self._open.discard(connection)
            stream.close()
            connection.close()

    def _read(self, connection: socket.socket, stream: BufferedReader) -> Request | None:
        """The next request of a connection, None at its end."""
        line = stream.readline(LONGEST_LINE)
        if not line.strip():
            return None
        method, path, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (line := stream.readline(LONGEST_LINE)).strip():
            key, _, value = line.decode("latin-1").partition(":")
            headers.append((key.strip(), value.strip()))
        given = {key.lower(): value for key, value in headers}
        if given.get("expect", "").lower() == "100-continue":
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _body(stream, given)
        actor = self.actor or self._proxy.actor_of(headers)
        return Request(actor, self.service, operations.name(self.service, method, path), method, path, headers, body)


def _body(stream: BufferedReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return b"".join(_chunks(stream))
    return stream.read(int(headers.get("content-length", 0)))


def _chunks(stream: BufferedReader) -> Iterator[bytes]:
    while size := int(stream.readline().split(b";")[0], 16):
        yield stream.read(size)
        stream.readline()
    stream.readline()
