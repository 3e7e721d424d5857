"""Connections as reliable ordered byte pipes that can be cut at any byte: all that the core sees of QUIC."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from p2p_agents.limits import DIAL_TIMEOUT_S, IDLE_TIMEOUT_S
from p2p_agents.quic.connection import CLOSE_REFUSED, CLOSE_TIMEOUT, Closed

if TYPE_CHECKING:
    from p2p_agents.quic.certificate import NodeCertificate
    from tests.sim.time import Time

Address = tuple[str, int]


class Handler(Protocol):
    """Who a connection's events are for: the node's Lines."""

    def connected(self, connection: End) -> None: ...
    def received(self, connection: End, data: bytes) -> None: ...
    def closed(self, connection: End, reason: Closed) -> None: ...


class Pipes:
    """The network. `tamper` sees every piece of bytes and may change it; None cuts the pipe there."""

    def __init__(self, time: Time, latency: float = 0.002) -> None:
        self.time = time
        self.latency = latency
        self.hosts: dict[Address, Host] = {}
        self.parted: set[frozenset[Address]] = set()
        self.pipes: list[Pipe] = []
        self.carried = 0
        self.cut_at: int | None = None  # after this many bytes in all, whatever pipe carries the next is cut
        self.tamper: Callable[[End, bytes], bytes | None] = lambda _, data: data
        self._numbers = itertools.count(1)

    def host(self, address: Address, certificate: NodeCertificate, handler: Handler) -> Host:
        self.hosts[address] = Host(self, address, certificate.public, handler)
        return self.hosts[address]

    def number(self) -> int:
        return next(self._numbers)

    def are_parted(self, a: Address, b: Address) -> bool:
        return frozenset((a, b)) in self.parted

    def part(self, a: Address, b: Address) -> None:
        self.parted.add(frozenset((a, b)))
        for pipe in self.pipes:
            pipe.stall()

    def join(self, a: Address, b: Address) -> None:
        self.parted.discard(frozenset((a, b)))
        for pipe in list(self.pipes):
            pipe.flow()

    def cut(self) -> None:
        """Every connection breaks now, with whatever was under way."""
        for pipe in list(self.pipes):
            pipe.cut()


class Host:
    """One node's socket: what Lines takes for its endpoint."""

    def __init__(self, net: Pipes, address: Address, key: bytes, handler: Handler) -> None:
        self.net, self.address, self.key, self.handler = net, address, key, handler
        self.up = True
        self.vouched: set[End] = set()

    def vouch(self, end: End, known: bool) -> None:
        (self.vouched.add if known else self.vouched.discard)(end)

    def dial(self, address: Address, *, pin: bytes | None) -> End:
        end = End(self.net.number(), True, address, self)
        self.net.time.at(self.net.time.now + self.net.latency, lambda: self._arrive(end, address, pin))
        return end

    def _arrive(self, end: End, address: Address, pin: bytes | None) -> None:
        target = self.net.hosts.get(address)
        if target is None or not target.up or self.net.are_parted(self.address, address):
            late = Closed(CLOSE_TIMEOUT, "no answer", by_peer=False, kind="timeout")
            self.net.time.at(self.net.time.now + DIAL_TIMEOUT_S, lambda: end.over(late))
        elif pin not in (None, target.key):
            end.over(Closed(CLOSE_REFUSED, "not the expected server key", by_peer=False, kind="refused"))
        elif self.up and not end.ended:
            Pipe(self.net, end, End(self.net.number(), False, self.address, target), target.key)

    def vanish(self) -> None:
        """As kill -9 does: nothing is told to anybody, until their timers notice."""
        self.up = False
        for pipe in list(self.net.pipes):
            for end in pipe.ends:
                if end.host is self:
                    end.ended = True
                    pipe.stall()


class End:
    """One side's connection."""

    def __init__(self, number: int, dialed: bool, address: Address, host: Host) -> None:
        self.id, self.dialed, self.address, self.host = number, dialed, address, host
        self.server_key = b""
        self.pipe: Pipe | None = None
        self.ended = False

    def send(self, data: bytes) -> None:
        if self.pipe is not None and not self.ended:
            self.pipe.send(self, data)

    def close(self, code: int = 0, reason: str = "") -> None:
        """Bytes sent before are still delivered, then the peer hears of the end."""
        if self.ended:
            return
        if self.pipe is not None:
            self.pipe.close(self, code, reason)
        self.over(Closed(code, reason, by_peer=False, kind="closed"))

    def over(self, closed: Closed) -> None:
        if not self.ended:
            self.ended = True
            if self.host.up:
                self.host.handler.closed(self, closed)


class Pipe:
    """Two ends, and what is under way between them."""

    def __init__(self, net: Pipes, dialer: End, acceptor: End, key: bytes) -> None:
        self.net, self.ends, self.latency = net, (dialer, acceptor), net.latency
        self.stalled: list[tuple[End, bytes | Closed]] | None = None
        self.broken = False
        self._arrivals = {dialer: 0.0, acceptor: 0.0}
        net.pipes.append(self)
        for end in self.ends:
            end.pipe, end.server_key = self, key
        dialer.host.handler.connected(dialer)
        acceptor.host.handler.connected(acceptor)

    def other(self, end: End) -> End:
        return self.ends[1] if end is self.ends[0] else self.ends[0]

    def send(self, source: End, data: bytes) -> None:
        changed = self.net.tamper(source, data)
        if changed is None:
            self.cut()
            return
        limit, before = self.net.cut_at, self.net.carried
        self.net.carried += len(changed)
        if limit is not None and before + len(changed) > limit:
            self.net.cut_at = None
            if limit > before:
                self._carry(self.other(source), changed[: limit - before])
            self.net.time.at(self._arrivals[self.other(source)], self.cut)
            return
        self._carry(self.other(source), changed)

    def close(self, source: End, code: int, reason: str) -> None:
        self._carry(self.other(source), Closed(code, reason, by_peer=True, kind="closed"))

    def _carry(self, target: End, what: bytes | Closed) -> None:
        if self.stalled is not None:
            self.stalled.append((target, what))
            return
        when = max(self.net.time.now + self.latency, self._arrivals[target])
        self._arrivals[target] = when
        self.net.time.at(when, lambda: self._arrive(target, what))

    def _arrive(self, target: End, what: bytes | Closed) -> None:
        if target.ended or self.broken or not target.host.up:
            return
        if self.stalled is not None:
            self.stalled.append((target, what))
        elif isinstance(what, bytes):
            target.host.handler.received(target, what)
        else:
            target.over(what)
            self.net.pipes.remove(self)

    def stall(self) -> None:
        """Nothing passes any more; after the idle timeout both sides notice."""
        a, b = self.ends
        gone = not (a.host.up and b.host.up) or self.net.are_parted(a.host.address, b.host.address)
        if gone and self.stalled is None:
            self.stalled = []
            self.net.time.at(self.net.time.now + IDLE_TIMEOUT_S, self._starve)

    def _starve(self) -> None:
        if self.stalled is not None:
            self.cut(Closed(CLOSE_TIMEOUT, "the peer fell silent", by_peer=False, kind="timeout"))

    def flow(self) -> None:
        a, b = self.ends
        if self.stalled is None or not (a.host.up and b.host.up):
            return
        if self.net.are_parted(a.host.address, b.host.address):
            return
        waiting, self.stalled = self.stalled, None
        for target, what in waiting:
            self._carry(target, what)

    def cut(self, why: Closed = Closed(CLOSE_TIMEOUT, "cut", by_peer=False, kind="timeout")) -> None:  # noqa: B008
        if not self.broken:
            self.broken = True
            if self in self.net.pipes:
                self.net.pipes.remove(self)
            for end in self.ends:
                end.over(why)
