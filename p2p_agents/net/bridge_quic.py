"""QUIC to a bridge, by the node's own socket: the address the bridge sees is the one peers can reach."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from p2p_agents.errors import BridgeImpostor, BridgeUnreachable, P2PError
from p2p_agents.link.approach import Failure, Transport
from p2p_agents.quic.address import from_sockaddr
from p2p_agents.quic.connection import CLOSE_OK
from p2p_agents.wire.relay import ALPN

if TYPE_CHECKING:
    from p2p_agents.net.bridge_client import BridgeClient
    from p2p_agents.quic.address import Address
    from p2p_agents.quic.connection import Closed, Connection
    from p2p_agents.quic.endpoint import Endpoint
    from p2p_agents.wire.bridge_address import BridgeAddress

CANDIDATES = 4  # addresses of one name that are dialled at once


class QuicWire:
    """Dials all addresses of the name at once, and keeps the first that proves the bridge's key in TLS."""

    way = Transport.QUIC

    def __init__(self, client: BridgeClient, endpoint: Endpoint, address: BridgeAddress) -> None:
        self._client = client
        self._endpoint = endpoint
        self._address = address
        self._connection: Connection | None = None
        self._dials: list[Connection] = []
        self._impostor = False
        self._closed = False

    async def run(self) -> None:
        try:
            found = await resolve(self._address.host, self._address.port)
        except BridgeUnreachable as fault:
            self._end(fault.message)
            return
        for address in found if not self._closed else ():
            try:
                dial = self._endpoint.dial(address, pin=self._address.key, alpn=ALPN, handler=self)
            except P2PError:  # an address this socket cannot reach
                continue
            self._dials.append(dial)
        if not self._dials:
            self._end("none of its addresses can be reached from here")

    def send(self, frames: tuple[bytes, ...]) -> None:
        if self._connection is not None:
            self._connection.send(b"".join(frames))

    def hold(self, held: bool) -> None:
        if self._connection is not None:
            self._connection.hold(held)

    def close(self) -> None:
        self._closed = True
        for dial in self._dials:
            dial.close(CLOSE_OK, "done")

    # --- from the endpoint ---

    def connected(self, connection: Connection) -> None:
        if self._connection is not None or self._closed:
            connection.close(CLOSE_OK, "another address answered first")
            return
        self._connection = connection
        self._client.opened(self)

    def received(self, connection: Connection, data: bytes) -> None:
        if connection is self._connection:
            self._client.received(self, data)

    def closed(self, connection: Connection, reason: Closed) -> None:
        self._dials.remove(connection)
        refused = reason.kind == "refused" and not reason.by_peer
        self._impostor = self._impostor or refused  # the pin did not match
        if connection is self._connection:
            self._end("the connection fell silent" if reason.kind == "timeout" else f"it closed: {reason.reason}")
        elif self._connection is None and not self._dials:
            self._end("no answer" if reason.kind == "timeout" else f"refused: {reason.reason}")

    def _end(self, why: str) -> None:
        if self._closed:
            return
        self._closed = True
        if self._impostor:
            self._client.closed(self, Failure(BridgeImpostor.code, "QUIC: another key answered"))
        else:
            self._client.closed(self, Failure(BridgeUnreachable.code, f"QUIC: {why}"))


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a name, or of an IP literal. Raises BridgeUnreachable."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):  # UnicodeError: a label that no name can have
        raise BridgeUnreachable(f"the host name {host} does not resolve") from None
    return list(dict.fromkeys(from_sockaddr(entry[4]) for entry in found))[:CANDIDATES]
