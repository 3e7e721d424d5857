"""Clients that come by WebSocket, where UDP is blocked or a proxy stands before the bridge.

Whether a client is let in is decided when its connection is accepted (door.py), and what it may send before it is open
is limited here. A TLS connection of asyncio reserves 256 KiB for reading; it is set to less, which makes room for
thousands of idle clients.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import logging
from functools import partial
from typing import TYPE_CHECKING

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from bridge import bounds
from bridge.door import Door
from bridge.http import TOO_MANY
from bridge.proxies import HEADER
from bridge.session import End
from p2p_agents.limits import FRAME_BYTES
from p2p_agents.quic.address import MAPPED, format_address
from p2p_agents.quic.admission import Bounds
from p2p_agents.wire.framing import PREFIX_BYTES

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from websockets.frames import Frame
    from websockets.http11 import Request, Response

    from bridge.hub import Hub
    from bridge.proxies import Proxies
    from bridge.visit import Visit

log = logging.getLogger(__name__)

TLS_BUFFER_BYTES = 16 * 1024  # one TLS record; asyncio's own choice is 256 KiB for every connection
BOUNDS = Bounds(bounds.CONNECTIONS, bounds.CONNECTIONS_PER_NETWORK, bounds.HANDSHAKES_PER_S, bounds.PATIENCE_S)
CLOSE_FIRST = 4_000  # RFC 6455 section 7.4.2: for private use
HANDSHAKE_S = bounds.KNOCK_S
CLOSE_S = 2.0  # a client that does not answer a close is cut off
NOBODY = ("::", 0)
PING_S = 20.0  # keeps devices on the path from forgetting the connection


class Socket(ServerConnection):
    """A WebSocket from its first byte: `visit` is set once it is open."""

    visit: Visit | None = None
    heard = 0
    client = ""  # its address, as reported by a trusted proxy

    def data_received(self, data: bytes) -> None:
        """A request with a few headers, then messages; an unfinished one counts as memory held by clients."""
        if self.visit is None:
            self.heard += len(data)
            if self.heard > bounds.UPGRADE_BYTES:
                self.transport.abort()
                return
        for start in range(0, len(data), bounds.PIECE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[start : start + bounds.PIECE_BYTES])
        if self.visit is not None:
            self.visit.begun(len(self.protocol.reader.buffer))

    def process_event(self, event: Frame | Request | Response) -> None:
        """A frame, even a ping: parsing it is work."""
        if self.visit is None or self.visit.frame():
            super().process_event(event)
        else:
            self.transport.abort()


class WebLine:
    """A `bridge.visit.Line`: what is sent waits here, within a limit, for a task that writes it."""

    def __init__(self, socket: ServerConnection, vouch: Callable[[], None]) -> None:
        self._socket = socket
        self.vouch = vouch
        self._out: list[bytes] = []
        self._waiting = 0
        self._writing = False
        self._news = asyncio.Event()
        self._end: tuple[End, str] | None = None

    def send(self, data: bytes) -> None:
        if self._end is not None:
            return
        self._out.append(data)
        self._waiting += len(data)
        if self._waiting > bounds.OUTGOING_BYTES:
            self._waiting -= sum(map(len, self._out))
            self._out.clear()
            self.close(End.SLOW, "the client does not read what it asked for")
        self._news.set()

    def close(self, end: End, reason: str) -> None:
        """What is being written when it ends may never be taken, and would be held until then, so it is cut off."""
        if self._end is None:
            self._end = (end, reason)
            self._news.set()
            if self._writing:
                patience = 0.0 if end is End.SLOW else CLOSE_S
                asyncio.get_running_loop().call_later(patience, self._socket.transport.abort)

    def backlog(self) -> int:
        return self._waiting

    async def write(self) -> None:
        """Write until the connection ends, or is closed here."""
        while self._out or self._end is None:
            while self._out:
                data = b"".join(self._out)
                self._out.clear()
                self._writing = True
                await self._socket.send(data)
                self._writing = False
                self._waiting -= len(data)
            if self._end is None:
                self._news.clear()
                await self._news.wait()
        end, reason = self._end
        await self._socket.close(CLOSE_FIRST + end, reason[:100])


class WebLines:
    """Makes a visit of every WebSocket."""

    def __init__(self, hub: Hub, proxies: Proxies, *, proxied: bool, log_addresses: bool) -> None:
        """`proxied`: no proxy is trusted to say where clients come from, but all come through one."""
        self._hub = hub
        self._proxies = proxies
        self._proxied = proxied and not proxies.networks
        self._log_addresses = log_addresses
        self._door: Door | None = None

    @property
    def strangers(self) -> int:
        """Number of connections that are not open yet."""
        return self._door.gate.strangers if self._door is not None else 0

    @property
    def turned_away(self) -> int:
        """Number of connections that were not let in, or cut off before they were open."""
        return self._door.turned_away if self._door is not None else 0

    async def listen(
        self,
        host: str | None,
        port: int,
        tls: ssl.SSLContext | None,
        answer: Callable[[ServerConnection, Request], Response | None],
    ) -> Server:
        """`answer` gives the HTTP response to a request that is not for a WebSocket, else None. Raises OSError."""
        asyncio.sslproto.SSLProtocol.max_size = TLS_BUFFER_BYTES
        self._door = Door.open(host or None, port, BOUNDS, self._whence)
        return await serve(
            self._serve,
            sock=self._door,
            backlog=bounds.UPGRADES,
            create_connection=Socket,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE_S if tls else None,
            process_request=lambda socket, request: answer(socket, request) or self._barred(socket, request),
            compression=None,
            max_size=FRAME_BYTES + PREFIX_BYTES,
            max_queue=4,
            write_limit=64 * 1024,
            open_timeout=HANDSHAKE_S,
            close_timeout=CLOSE_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            server_header=None,
            logger=_silent(),
        )

    async def _serve(self, socket: ServerConnection) -> None:
        assert self._door is not None
        assert isinstance(socket, Socket)
        number = _number(socket)
        self._door.passed(number)
        host, shown = self._shown(socket)
        line = WebLine(socket, partial(self._door.vouch, number))
        visit = socket.visit = self._hub.arrived(line, "websocket", host, shown)
        try:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(line.write())
                await self._read(socket, visit)
                writing.cancel()
        except* ConnectionClosed:
            pass
        finally:
            visit.ended()

    async def _read(self, socket: ServerConnection, visit: Visit) -> None:
        while True:
            async for data in socket.recv_streaming():
                if isinstance(data, str):
                    visit.close(End.PROTOCOL, "messages are binary")
                else:
                    visit.received(data)
            if visit.partial:
                visit.close(End.PROTOCOL, "a WebSocket message holds whole frames")

    def _whence(self, address: str) -> str:
        """The host that a connection from this address counts for: "" for a proxy's, which carries anybody's."""
        return "" if self._proxied or self._proxies.trusts(address) else address.removeprefix(MAPPED)

    def _barred(self, socket: ServerConnection, request: Request) -> Response | None:
        """The response to a client that comes by a trusted proxy and whose network has no place left; None to let it
        in."""
        assert isinstance(socket, Socket)
        assert self._door is not None
        address, _ = _address(socket)
        if not self._proxies.trusts(address):
            return None
        socket.client = self._proxies.client(address.removeprefix(MAPPED), request.headers.get_all(HEADER))
        if not socket.client or self._door.moved(_number(socket), socket.client):
            return None
        self._door.turned_away += 1
        return TOO_MANY.response()

    def _shown(self, socket: Socket) -> tuple[str, str]:
        """Host, and host with port. Behind a proxy the port is unknown, and the proxy's own is not the client's
        business: "". Behind an untrusted proxy the host is unknown too, and the client has no network's pace."""
        address, port = _address(socket)
        host = socket.client or self._whence(address)
        shown = format_address((host, port)) if host and not socket.client else ""
        if self._log_addresses and host:
            log.info("websocket from %s", shown or host)
        return host, shown


def _address(socket: ServerConnection) -> tuple[str, int]:
    """As its socket shows it; nobody's if the connection has ended."""
    host, port, *_ = socket.remote_address or NOBODY
    return str(host), int(port)


def _number(socket: ServerConnection) -> int:
    """Its number at the door."""
    return int(socket.transport.get_extra_info("socket").fileno())


def _silent() -> logging.Logger:
    """The library logs every connection and every port scan, with addresses; failures are ours to log."""
    silent = logging.getLogger("bridge.websockets")
    silent.setLevel(logging.CRITICAL + 1)
    return silent
