"""Realistic connections: QUIC over datagrams that are late, lost, duplicated and out of order. Seeded."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING

from p2p_agents.quic import packet, private
from p2p_agents.quic.connection import CidIssued, CidRetired, Closed, Connected, Connection, Received

if TYPE_CHECKING:
    from p2p_agents.quic.certificate import NodeCertificate
    from tests.sim.pipes import Address
    from tests.sim.time import Time

ALPN = "test/1"


class Packets:
    """The network: what it does to datagrams may be changed at any time."""

    def __init__(self, time: Time, seed: int = 1) -> None:
        self.time = time
        self.latency, self.jitter, self.loss, self.duplication = 0.002, 0.0, 0.0, 0.0
        self.hosts: dict[Address, Socket] = {}
        self.parted: set[frozenset[Address]] = set()
        self.random = random.Random(seed)

    def host(self, address: Address, certificate: NodeCertificate, handler: object) -> Socket:
        self.hosts[address] = Socket(self, address, certificate, handler)
        return self.hosts[address]

    def are_parted(self, a: Address, b: Address) -> bool:
        return frozenset((a, b)) in self.parted

    def part(self, a: Address, b: Address) -> None:
        self.parted.add(frozenset((a, b)))

    def join(self, a: Address, b: Address) -> None:
        self.parted.discard(frozenset((a, b)))

    def carry(self, source: Address, target: Address, data: bytes) -> None:
        if self.are_parted(source, target) or self.random.random() < self.loss:
            return
        for _ in range(2 if self.random.random() < self.duplication else 1):
            delay = self.latency + self.random.random() * self.jitter
            self.time.at(self.time.now + delay, lambda: self._arrive(source, target, data), routine=True)

    def _arrive(self, source: Address, target: Address, data: bytes) -> None:
        host = self.hosts.get(target)
        if host is not None and host.up:
            host.datagram(data, source)


class Socket:
    """One node's socket: what Lines takes for its endpoint."""

    def __init__(self, net: Packets, address: Address, certificate: NodeCertificate, handler: object) -> None:
        self.net, self.address, self.key, self.handler = net, address, certificate.public, handler
        self.up = True
        self._client = private.configuration(is_client=True, alpn=ALPN, certificate=None)
        self._server = private.configuration(is_client=False, alpn=ALPN, certificate=certificate)
        self._numbers = itertools.count(1)
        self._routes: dict[bytes, Connection] = {}
        self._waking: set[int] = set()

    def dial(self, address: Address, *, pin: bytes | None) -> Connection:
        number, now = next(self._numbers), self.net.time.now
        connection = Connection.dial(self._client, address, number, pin=pin, now=now, wake=self.wake)
        self.wake(connection)
        return connection

    def vouch(self, connection: Connection, known: bool) -> None:
        """There is room for all."""

    def vanish(self) -> None:
        """As kill -9 does."""
        self.up = False

    def datagram(self, data: bytes, source: Address) -> None:
        if not packet.is_quic(data):
            return
        cid, now = packet.destination_cid(data), self.net.time.now
        connection = self._routes.get(cid)
        if connection is None:
            if not packet.opens_connection(data):
                return
            number = next(self._numbers)
            connection = Connection.accept(self._server, cid, number, server_key=self.key, now=now, wake=self.wake)
        connection.receive(data, source, now)
        self._settle(connection)

    def wake(self, connection: Connection) -> None:
        if connection.id not in self._waking:
            self._waking.add(connection.id)
            self.net.time.at(self.net.time.now, lambda: self._settle(connection), routine=True)

    def _settle(self, connection: Connection) -> None:
        self._waking.discard(connection.id)
        if not self.up:
            return
        self._take(connection)
        for data, target in connection.datagrams(self.net.time.now):
            self.net.carry(self.address, target, data)
        self._take(connection)
        deadline = connection.deadline()
        if deadline is not None:
            self.net.time.at(deadline, lambda: self._tick(connection), routine=True)

    def _tick(self, connection: Connection) -> None:
        deadline = connection.deadline()
        if self.up and deadline is not None and deadline <= self.net.time.now:
            connection.tick(self.net.time.now)
            self._settle(connection)

    def _take(self, connection: Connection) -> None:
        for event in connection.events():
            match event:
                case CidIssued(cid):
                    self._routes[cid] = connection
                case CidRetired(cid):
                    self._routes.pop(cid, None)
                case Connected():
                    self.handler.connected(connection)  # type: ignore[attr-defined]  # the node's Lines
                case Received(data):
                    self.handler.received(connection, data)  # type: ignore[attr-defined]
                case Closed():
                    self.handler.closed(connection, event)  # type: ignore[attr-defined]
