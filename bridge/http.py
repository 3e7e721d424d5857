"""The answers of the TCP port to plain HTTP: a table of routes, from the first part of a path to its handler."""

from __future__ import annotations

import http
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from websockets.datastructures import Headers
from websockets.http11 import Response

from p2p_agents.wire.relay import WEBSOCKET_PATH

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request

PATH_CHARS = 256


@dataclass(frozen=True, slots=True)
class Call:
    """A GET: the path below its route ("" for none), its headers, and whether it comes from this machine."""

    rest: str
    headers: Headers
    local: bool


@dataclass(frozen=True, slots=True)
class Page:
    """An answer. Unless told otherwise, it may not be cached, framed, or have its type guessed."""

    body: bytes
    kind: str = "text/plain; charset=utf-8"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> Response:
        head = {
            "Content-Type": self.kind,
            "Content-Length": str(len(self.body)),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "Connection": "close",
        }
        head.update(self.headers)
        return Response(self.status, http.HTTPStatus(self.status).phrase, Headers(head), self.body)


NOT_FOUND = Page(b"not found\n", status=404)
TOO_MANY = Page(b"too many connections from that network\n", status=429)
FORBIDDEN = Page(b"only from this machine, or with --metrics\n", status=403)


@dataclass(slots=True)
class Routes:
    """`add("health", answer)` has `answer` give the page for /health and for what lies below it."""

    _table: dict[str, Callable[[Call], Page]] = field(default_factory=dict)

    def add(self, first: str, answer: Callable[[Call], Page]) -> None:
        self._table[first] = answer

    def page(self, path: str, headers: Headers, *, local: bool) -> Page:
        """The page for a path, without its query."""
        first, _, rest = path.split("?", 1)[0].removeprefix("/").partition("/")
        answer = self._table.get(first)
        if answer is None or len(path) > PATH_CHARS:
            return NOT_FOUND
        return answer(Call(rest, headers, local))

    def __call__(self, connection: ServerConnection, request: Request) -> Response | None:
        """For websockets: None lets a WebSocket be opened."""
        wants = "websocket" in (
            value.lower() for value in request.headers.get_all("Upgrade")
        )  # given twice, the header is there
        if wants and request.path.split("?", 1)[0] == WEBSOCKET_PATH:
            return None
        host = (connection.remote_address or ("",))[0]
        local = host in ("127.0.0.1", "::1", "::ffff:127.0.0.1") and "X-Forwarded-For" not in request.headers
        return self.page(request.path, request.headers, local=local).response()
