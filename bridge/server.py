"""A bridge process: one key, one store, one port for QUIC on UDP and for WebSocket and HTTP on TCP."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bridge import keys
from bridge.http import Call, Page, Routes
from bridge.hub import Hub
from bridge.keeping import data_directory, open_meetings, open_store
from bridge.metrics import Metrics
from bridge.page import ROUTE, invitation
from bridge.quic_lines import QuicLines
from bridge.web_lines import WebLines
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import NoSocket
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.wire.bridge_address import BridgeAddress

if TYPE_CHECKING:
    from bridge.settings import Settings


PORT_TRIES = 16  # port 0 must be free on UDP and on TCP: the second may be taken where the first is not


class BridgeServer:
    """Start, then stop; `address` is known in between."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.routes = Routes()

    async def start(self) -> BridgeAddress:
        """Raises an EnvironmentFault that says why the bridge cannot run here."""
        settings = self.settings
        data_directory(settings.data)
        seed = keys.seed(settings.data)
        certificate = NodeCertificate.from_seed(seed)
        self.store = await open_store(settings.data, settings.store, settings.quotas)
        self.meetings = open_meetings(self.store)
        key = SigningKey.from_seed(seed)
        self.hub = Hub(key, self.store, self.meetings, settings.quotas, settings.admission)
        self.routes.add("health", self._health)
        self.routes.add(ROUTE, lambda call: invitation(call, str(self.address)))
        self.routes.add("metrics", Metrics(self.hub, lambda: self.web.turned_away, public=settings.metrics).page)
        tls = keys.tls_context(settings.data, certificate, settings.certificate) if settings.tls else None
        for tries in range(PORT_TRIES):
            self._endpoint = await QuicLines.listen(
                self.hub, certificate, settings.host, settings.port, log_addresses=settings.log_addresses
            )
            self.web = WebLines(
                self.hub, settings.proxies, proxied=not settings.tls, log_addresses=settings.log_addresses
            )
            try:
                self._web = await self.web.listen(settings.host, self._endpoint.port, tls, self.routes)
                break
            except OSError as error:
                await self._endpoint.close()
                if settings.port or tries == PORT_TRIES - 1:
                    raise NoSocket(f"cannot bind TCP port {self._endpoint.port}: {error.strerror}") from error
        self.address = BridgeAddress(self._shown_host(), settings.public_port or self._endpoint.port, key.public)
        return self.address

    async def stop(self) -> None:
        """Tell the clients, finish what was begun, release everything."""
        await self.hub.stop()
        self._web.close()
        await self._endpoint.close()
        await self._web.wait_closed()
        await self.meetings.close()
        await self.store.close()

    def _shown_host(self) -> str:
        host = self.settings.public_host.strip("[]") or self.settings.host
        return host if host and host not in ("0.0.0.0", "::") else "localhost"  # noqa: S104 - a comparison

    def _health(self, call: Call) -> Page:
        found = {"ok": True, "connections": len(self.hub)}
        return Page(json.dumps(found).encode() + b"\n", "application/json")
