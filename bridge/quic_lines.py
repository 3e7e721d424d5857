"""Clients that come by QUIC."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bridge import bounds
from p2p_agents.quic.address import format_address
from p2p_agents.quic.admission import Bounds
from p2p_agents.quic.endpoint import Endpoint
from p2p_agents.wire.relay import ALPN

if TYPE_CHECKING:
    from bridge.hub import Hub
    from bridge.session import End
    from bridge.visit import Visit
    from p2p_agents.quic.certificate import NodeCertificate
    from p2p_agents.quic.connection import Closed, Connection

log = logging.getLogger(__name__)

BOUNDS = Bounds(bounds.CONNECTIONS, bounds.CONNECTIONS_PER_NETWORK, bounds.HANDSHAKES_PER_S, bounds.PATIENCE_S)


class QuicLine:
    """A `bridge.visit.Line`; its connection closes by itself where the backlog passes its bound."""

    def __init__(self, connection: Connection, endpoint: Endpoint) -> None:
        self._connection = connection
        self._endpoint = endpoint

    def send(self, data: bytes) -> None:
        self._connection.send(data)

    def close(self, end: End, reason: str) -> None:
        """A close overtakes what is not sent yet: it waits for the flush that is due."""
        asyncio.get_running_loop().call_soon(self._connection.close, end, reason)

    def backlog(self) -> int:
        return self._connection.backlog()

    def vouch(self) -> None:
        self._endpoint.vouch(self._connection, True)


class QuicLines:
    """The handler of the endpoint: a visit for every connection."""

    endpoint: Endpoint

    def __init__(self, hub: Hub, *, log_addresses: bool) -> None:
        self._hub = hub
        self._visits: dict[Connection, Visit] = {}
        self._log_addresses = log_addresses

    @classmethod
    async def listen(
        cls, hub: Hub, certificate: NodeCertificate, host: str | None, port: int, *, log_addresses: bool
    ) -> Endpoint:
        """Raises NoSocket."""
        lines = cls(hub, log_addresses=log_addresses)
        lines.endpoint = await Endpoint.open(certificate, lines, host=host, port=port, alpn=ALPN, bounds=BOUNDS)
        return lines.endpoint

    def connected(self, connection: Connection) -> None:
        host, shown = connection.address[0], format_address(connection.address)
        self._visits[connection] = self._hub.arrived(QuicLine(connection, self.endpoint), "quic", host, shown)
        if self._log_addresses:
            log.info("quic from %s", shown)

    def received(self, connection: Connection, data: bytes) -> None:
        self._visits[connection].received(data)

    def closed(self, connection: Connection, reason: Closed) -> None:
        visit = self._visits.pop(connection, None)
        if visit is not None:
            visit.ended()
