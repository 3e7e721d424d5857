"""A network in virtual time: whole connections without sockets; latency, loss, duplication, order; seeded."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from p2p_agents.quic import packet, private
from p2p_agents.quic.address import Address
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import (
    BulkEvent,
    BulkGranted,
    BulkReceived,
    BulkRoom,
    BulkSent,
    BulkStopped,
    CidIssued,
    CidRetired,
    Closed,
    Connected,
    Connection,
    Received,
)

ALPN = "test/1"


class Network:
    """Delivers datagrams between hosts and runs their timers; `now` is virtual seconds."""

    def __init__(
        self,
        seed: int = 1,
        *,
        latency: float = 0.005,
        jitter: float = 0.0,
        loss: float = 0.0,
        duplication: float = 0.0,
    ) -> None:
        self.now = 0.0
        self.latency, self.jitter, self.loss, self.duplication = latency, jitter, loss, duplication
        self.corruption = 0.0
        self.cut = False
        self.carried: list[tuple[Address, Address, bytes]] = []
        self._random = random.Random(seed)
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self.hosts: dict[Address, Host] = {}

    def host(self, name: str, port: int = 4433) -> Host:
        number = len(self.hosts) + 1
        host = Host(self, name, (f"192.0.2.{number}", port))
        self.hosts[host.address] = host
        return host

    def at(self, when: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), action))

    def carry(self, source: Address, target: Address, data: bytes) -> None:
        self.carried.append((source, target, data))
        if self.cut or self._random.random() < self.loss:
            return
        if self._random.random() < self.corruption:
            place = self._random.randrange(len(data))
            data = data[:place] + bytes([data[place] ^ 1 << self._random.randrange(8)]) + data[place + 1 :]
        for _ in range(2 if self._random.random() < self.duplication else 1):
            delay = self.latency + self._random.random() * self.jitter
            self.at(self.now + delay, lambda: self._arrive(source, target, data))

    def _arrive(self, source: Address, target: Address, data: bytes) -> None:
        if target in self.hosts:
            self.hosts[target].datagram(data, source)

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Let virtual time pass; True as soon as `until` holds."""
        end = self.now + seconds
        while not until() and self._queue and self._queue[0][0] <= end:
            when, _, action = heapq.heappop(self._queue)
            self.now = max(self.now, when)
            action()
        if until():
            return True
        self.now = end
        return False


class Host:
    """An owner of connections, and a record of what they told it."""

    def __init__(self, network: Network, name: str, address: Address) -> None:
        self.network, self.address = network, address
        self.certificate = NodeCertificate.from_seed(name.encode().ljust(32, b"."))
        self.client = private.configuration(is_client=True, alpn=ALPN, certificate=None)
        self.server = private.configuration(is_client=False, alpn=ALPN, certificate=self.certificate)
        self.numbers = itertools.count(1)
        self.routes: dict[bytes, Connection] = {}
        self.connections: list[Connection] = []
        self.connected: list[Connection] = []
        self.received = b""
        self.carried: Callable[[Connection, BulkEvent], None] = lambda connection, event: None
        self.gone: Callable[[Connection], None] = lambda connection: None
        self.closed: list[Closed] = []
        self.closed_at = -1.0
        self.echo = False

    def dial(self, other: Host, *, pin: bytes | None = None) -> Connection:
        connection = Connection.dial(
            self.client,
            other.address,
            next(self.numbers),
            pin=pin,
            now=self.network.now,
            wake=self.wake,
        )
        self.connections.append(connection)
        self.settle(connection)
        return connection

    def move(self, address: Address) -> None:
        """As a NAT does: the same socket, seen at another address."""
        self.network.hosts[address] = self.network.hosts.pop(self.address)
        self.address = address

    def vanish(self) -> None:
        """As kill -9 does."""
        del self.network.hosts[self.address]
        for connection in self.connections:
            connection.ended = True

    def datagram(self, data: bytes, source: Address) -> None:
        if not packet.is_quic(data):
            return
        cid = packet.destination_cid(data)
        connection = self.routes.get(cid)
        if connection is None:
            if not packet.opens_connection(data):
                return
            connection = Connection.accept(
                self.server,
                cid,
                next(self.numbers),
                server_key=self.certificate.public,
                now=self.network.now,
                wake=self.wake,
            )
            self.connections.append(connection)
        connection.receive(data, source, self.network.now)
        self.settle(connection)

    def wake(self, connection: Connection) -> None:
        self.network.at(self.network.now, lambda: self.settle(connection))

    def settle(self, connection: Connection) -> None:
        self.take(connection)
        for data, target in connection.datagrams(self.network.now):
            self.network.carry(self.address, target, data)
        self.take(connection)
        deadline = connection.deadline()
        if deadline is not None:
            self.network.at(deadline, lambda: self.tick(connection))

    def tick(self, connection: Connection) -> None:
        deadline = connection.deadline()
        if deadline is not None and deadline <= self.network.now:
            connection.tick(self.network.now)
            self.settle(connection)

    def take(self, connection: Connection) -> None:
        for event in connection.events():
            match event:
                case CidIssued(cid):
                    self.routes[cid] = connection
                case CidRetired(cid):
                    self.routes.pop(cid, None)
                case Connected():
                    self.connected.append(connection)
                case Received(data):
                    self.received += data
                    if self.echo:
                        connection.send(data)
                case BulkReceived() | BulkStopped() | BulkGranted() | BulkRoom() | BulkSent():
                    self.carried(connection, event)
                case Closed():
                    self.closed.append(event)
                    self.closed_at = self.network.now
                    self.gone(connection)


def pair(network: Network) -> tuple[Host, Host, Connection]:
    """Two hosts, and a connection that the first dialed, pinned, up and with its stream open."""
    alice, bob = network.host("alice"), network.host("bob")
    connection = alice.dial(bob, pin=bob.certificate.public)
    connection.send(b"hello")
    assert network.run(10, lambda: bob.received == b"hello")
    bob.received = b""
    return alice, bob, connection
