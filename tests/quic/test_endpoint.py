"""Endpoints on real loopback sockets."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2p_agents.errors import NoSocket, Usage
from p2p_agents.limits import CLOSED_REMEMBERED
from p2p_agents.quic import datagrams
from p2p_agents.quic.address import Address
from p2p_agents.quic.admission import Bounds
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import CLOSE_CROWDED, CLOSE_INTERNAL, CLOSE_OWNER, Closed, Connection
from p2p_agents.quic.datagrams import ANY, Datagrams
from p2p_agents.quic.endpoint import Endpoint

ALICE, BOB = (NodeCertificate.from_seed(name.ljust(32)) for name in (b"alice", b"bob"))
LOOPBACK = "127.0.0.1"


class Recorder:
    """A handler that records events, and wakes those that wait for one."""

    def __init__(self) -> None:
        self.news = asyncio.Event()
        self.up: list[Connection] = []
        self.data: dict[int, bytes] = {}
        self.ends: dict[int, Closed] = {}
        self.probes: list[tuple[bytes, Address]] = []
        self.on_received: Callable[[Connection, bytes], object] = lambda connection, data: None

    def connected(self, connection: Connection) -> None:
        self.up.append(connection)
        self.news.set()

    def received(self, connection: Connection, data: bytes) -> None:
        self.data[connection.id] = self.data.get(connection.id, b"") + data
        self.news.set()
        self.on_received(connection, data)

    def closed(self, connection: Connection, reason: Closed) -> None:
        self.ends[connection.id] = reason
        self.news.set()

    def probed(self, data: bytes, address: Address) -> None:
        self.probes.append((data, address))
        self.news.set()

    async def until(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not holds():
                self.news.clear()
                await self.news.wait()


class Pair:
    def __init__(self, alice: Endpoint, alices: Recorder, bob: Endpoint, bobs: Recorder) -> None:
        self.alice, self.alices, self.bob, self.bobs = alice, alices, bob, bobs

    async def connect(self, host: str = LOOPBACK, pin: bytes | None = BOB.public) -> tuple[Connection, Connection]:
        ours, theirs = len(self.alices.up), len(self.bobs.up)
        connection = self.alice.dial((host, self.bob.port), pin=pin)
        await self.alices.until(lambda: len(self.alices.up) > ours)
        await self.bobs.until(lambda: len(self.bobs.up) > theirs)
        return connection, self.bobs.up[-1]


@contextlib.asynccontextmanager
async def endpoints(bounds: Bounds | None = None) -> AsyncIterator[Pair]:
    alices, bobs = Recorder(), Recorder()
    alice = await Endpoint.open(ALICE, alices)
    bob = await Endpoint.open(BOB, bobs, bounds=bounds)
    try:
        yield Pair(alice, alices, bob, bobs)
    finally:
        await alice.close()
        await bob.close()


def run(story: Coroutine[None, None, None]) -> None:
    """Run with every blocking call in the loop an error."""
    with blockbuster_ctx("p2p_agents"):
        asyncio.run(story)


@pytest.mark.parametrize("host", [LOOPBACK, "::1"])
def test_one_socket_accepts_both_ip_versions(host):
    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect(host)
            assert dialed.address == (host, pair.bob.port)
            assert accepted.address == (host, pair.alice.port)
            assert dialed.server_key == accepted.server_key == BOB.public
            assert (dialed.dialed, accepted.dialed) == (True, False)
            dialed.send(b"ping")
            await pair.bobs.until(lambda: pair.bobs.data == {accepted.id: b"ping"})
            accepted.send(b"pong")
            await pair.alices.until(lambda: pair.alices.data == {dialed.id: b"pong"})

    run(story())


def link_local_address() -> str | None:
    """A link-local IPv6 address of this machine with its scope, if it has one."""
    with contextlib.suppress(OSError), open("/proc/net/if_inet6", encoding="ascii") as file:
        for line in file:
            digits, scope, _, _, flags, _ = line.split()
            if digits.startswith("fe80") and not int(flags, 16) & 0x40:  # tentative
                return f"{ipaddress.IPv6Address(bytes.fromhex(digits))}%{int(scope, 16)}"
    return None


@pytest.mark.skipif(link_local_address() is None, reason="no link-local IPv6 address")
def test_link_local_addresses_keep_their_scope():
    host = link_local_address()

    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect(host)
            assert dialed.address == (host, pair.bob.port)
            assert accepted.address == (host, pair.alice.port)

    run(story())


def test_a_thousand_small_messages_arrive_in_order():
    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect()
            messages = [b"%04d" % number for number in range(1_000)]
            for message in messages:
                dialed.send(message)
            expected = b"".join(messages)
            await pair.bobs.until(lambda: len(pair.bobs.data.get(accepted.id, b"")) == len(expected))
            assert pair.bobs.data[accepted.id] == expected

    run(story())


def test_megabytes_arrive_both_ways_at_once():
    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect()
            body = bytes(range(256)) * 4_096 * 3
            dialed.send(body)
            await pair.bobs.until(lambda: accepted.id in pair.bobs.data)
            accepted.send(body)
            await pair.bobs.until(lambda: pair.bobs.data[accepted.id] == body)
            await pair.alices.until(lambda: pair.alices.data.get(dialed.id) == body)

    run(story())


def test_simultaneous_dials_both_connect():
    async def story() -> None:
        async with endpoints() as pair:
            pair.alice.dial((LOOPBACK, pair.bob.port), pin=BOB.public)
            pair.bob.dial((LOOPBACK, pair.alice.port), pin=ALICE.public)
            await pair.alices.until(lambda: len(pair.alices.up) == 2)
            await pair.bobs.until(lambda: len(pair.bobs.up) == 2)
            assert len({connection.id for connection in pair.alice.connections}) == 2

    run(story())


def test_wrong_pin():
    async def story() -> None:
        async with endpoints() as pair:
            connection = pair.alice.dial((LOOPBACK, pair.bob.port), pin=ALICE.public)
            connection.send(b"secret")
            await pair.alices.until(lambda: pair.alices.ends)
            await pair.bobs.until(lambda: pair.bobs.ends)
            assert pair.alices.ends[connection.id].kind == "refused"
            assert pair.alices.up == []
            assert pair.bobs.data == {}

    run(story())


def test_a_dial_may_speak_another_protocol_to_another_handler():
    async def story() -> None:
        theirs, ours = Recorder(), Recorder()
        other = await Endpoint.open(BOB, theirs, alpn="other/1")
        async with endpoints() as pair:
            try:
                refused = pair.alice.dial((LOOPBACK, other.port), pin=BOB.public, handler=ours)
                await ours.until(lambda: refused.id in ours.ends)
                dialed = pair.alice.dial((LOOPBACK, other.port), pin=BOB.public, alpn="other/1", handler=ours)
                await theirs.until(lambda: len(theirs.up) == 1)
                await ours.until(lambda: ours.up == [dialed])
                dialed.send(b"ping")
                await theirs.until(lambda: theirs.data)
                theirs.up[0].send(b"pong")
                await ours.until(lambda: ours.data == {dialed.id: b"pong"})
                dialed.close()
                await ours.until(lambda: dialed.id in ours.ends)
                assert pair.alices.up == []
                assert pair.alices.ends == {}
            finally:
                await other.close()

    run(story())


def test_close_reasons_are_seen_on_both_sides():
    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect()
            accepted.close(CLOSE_OWNER + 1, "hello timed out")
            await pair.alices.until(lambda: pair.alices.ends)
            await pair.bobs.until(lambda: pair.bobs.ends)
            code, reason = CLOSE_OWNER + 1, "hello timed out"
            assert pair.alices.ends == {dialed.id: Closed(code, reason, by_peer=True, kind="closed")}
            assert pair.bobs.ends == {accepted.id: Closed(code, reason, by_peer=False, kind="closed")}
            assert pair.alice.connections == pair.bob.connections == ()

    run(story())


def test_closing_the_endpoint_tells_every_peer():
    async def story() -> None:
        async with endpoints() as pair:
            for _ in range(3):
                await pair.connect()
            await pair.alice.close()
            assert len(pair.alices.ends) == 3
            await pair.bobs.until(lambda: len(pair.bobs.ends) == 3)
            assert {(end.by_peer, end.kind) for end in pair.bobs.ends.values()} == {(True, "closed")}
            with pytest.raises(NoSocket):
                pair.alice.dial((LOOPBACK, pair.bob.port))

    run(story())


def test_a_lost_goodbye_is_repeated_when_the_peer_speaks():
    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect()
            send, pair.bob._send = pair.bob._send, lambda data, address: None
            accepted.close(CLOSE_OWNER, "bye")
            await pair.bobs.until(lambda: pair.bobs.ends)
            pair.bob._send = send
            dialed.send(b"still there?")
            await pair.alices.until(lambda: pair.alices.ends)
            assert pair.alices.ends[dialed.id] == Closed(CLOSE_OWNER, "bye", by_peer=True, kind="closed")
            assert len(pair.bob._last_words) <= CLOSED_REMEMBERED

    run(story())


def test_a_goodbye_is_not_repeated_for_less_than_a_third_of_it():
    """Its address may never have been proven: small datagrams in another's name are not answered threefold."""

    async def story() -> None:
        async with endpoints() as pair:
            _, accepted = await pair.connect()
            accepted.close(CLOSE_OWNER, "a long goodbye")
            await pair.alices.until(lambda: pair.alices.ends)
            sent: list[bytes] = []
            pair.bob._send = lambda data, address, local: sent.append(data)
            short = b"\x40" + next(iter(pair.bob._last_words))
            pair.bob._route(short, accepted.address, ANY, 0.0)
            assert sent == []
            pair.bob._route(short.ljust(100, b"x"), accepted.address, ANY, 0.0)
            assert 0 < sum(map(len, sent)) <= 300

    run(story())


def test_a_dial_to_a_dead_port_ends_as_a_timeout(monkeypatch):
    monkeypatch.setattr("p2p_agents.quic.connection.DIAL_TIMEOUT_S", 0.2)

    async def story() -> None:
        async with endpoints() as pair:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
                deaf.bind((LOOPBACK, 0))
                connection = pair.alice.dial((LOOPBACK, deaf.getsockname()[1]))
                await pair.alices.until(lambda: pair.alices.ends)
            assert pair.alices.ends[connection.id].kind == "timeout"

    run(story())


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel chooses")
def test_a_host_of_several_addresses_answers_from_the_one_that_was_dialled():
    """A dialer drops what comes from anywhere else."""

    async def story() -> None:
        async with endpoints() as pair:
            dialed, _ = await pair.connect("127.0.0.2")
            assert dialed.address == ("127.0.0.2", pair.bob.port)

    run(story())


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EPERM, errno.ECONNREFUSED, errno.ENOBUFS, errno.EAGAIN])
def test_errors_of_sending_are_lost_datagrams(code):
    class Refusing:
        def __init__(self, sock: Datagrams) -> None:
            self._sock, self.refusals = sock, 3

        def __getattr__(self, name: str) -> object:
            return getattr(self._sock, name)

        def send(self, data: bytes, address: Address, local: bytes) -> None:
            self.refusals -= 1
            if self.refusals >= 0:
                raise OSError(code, "no")
            self._sock.send(data, address, local)

    async def story() -> None:
        async with endpoints() as pair:
            pair.alice._socket = Refusing(pair.alice._socket)
            await pair.connect()
            assert pair.alice._socket.refusals < 0

    run(story())


def test_a_handler_that_raises_loses_its_connection_only(caplog):
    async def story() -> None:
        async with endpoints() as pair:
            bad, _ = await pair.connect()
            good, accepted = await pair.connect()

            def raise_on_poison(connection: Connection, data: bytes) -> None:
                if data == b"poison":
                    raise RuntimeError("a bug of the owner")

            pair.bobs.on_received = raise_on_poison
            bad.send(b"poison")
            await pair.alices.until(lambda: bad.id in pair.alices.ends)
            assert pair.alices.ends[bad.id].code == CLOSE_INTERNAL
            good.send(b"fine")
            await pair.bobs.until(lambda: pair.bobs.data.get(accepted.id) == b"fine")
            assert pair.bob.connections == (accepted,)

    run(story())
    assert "the handler failed" in caplog.text


def test_a_stranger_makes_room_for_a_newcomer_and_a_contact_does_not():
    """PROTOCOL C3: a peer that completes the handshake and proves nothing cannot keep others out."""

    async def story() -> None:
        async with endpoints(Bounds(connections=2, handshakes_per_s=100, patience_s=0.0)) as pair:
            known, accepted = await pair.connect()
            pair.bob.vouch(accepted, True)
            stranger, _ = await pair.connect()
            newcomer, third = await pair.connect()
            await pair.alices.until(lambda: stranger.id in pair.alices.ends)
            assert pair.alices.ends[stranger.id] == Closed(CLOSE_CROWDED, "crowded", by_peer=True, kind="closed")
            assert set(pair.bob.connections) == {accepted, third}
            assert known.id not in pair.alices.ends
            assert newcomer.id not in pair.alices.ends
            pair.bob.vouch(newcomer, True)  # a dialled one has no place
            assert len(pair.bob._placed) == 2

    run(story())


def test_a_flood_of_first_packets_in_others_names_keeps_nobody_out():
    """A dialer that can hear the answer is told to prove it; a flood cannot, and has a pace of its own."""

    async def story() -> None:
        async with endpoints(Bounds(handshakes_per_s=40)) as pair:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
                flood.setblocking(False)
                for number in range(60):
                    header = b"\xc0\0\0\0\1\x08" + number.to_bytes(8) + b"\x08" + bytes(8) + b"\0\x44\x98"
                    flood.sendto(header.ljust(1200, b"x"), (LOOPBACK, pair.bob.port))
                dialed, accepted = await pair.connect()
                assert len(flood.recv(2048)) < 200
            assert dialed._quic._retry_count == 1
            dialed.send(b"real")
            await pair.bobs.until(lambda: pair.bobs.data == {accepted.id: b"real"})
            assert len(pair.bob.connections) <= 20 + 4

    run(story())


def test_what_all_connections_keep_for_holes_is_bounded_and_strangers_go_first(monkeypatch):
    """Each may keep a window; a crowd that leaves out the first byte of one ends before memory does."""
    monkeypatch.setattr("p2p_agents.quic.endpoint.REASSEMBLY_BYTES", 50_000)

    async def story() -> None:
        async with endpoints() as pair:
            known, accepted = await pair.connect()
            pair.bob.vouch(accepted, True)
            stranger, _ = await pair.connect()
            with_hole(known, 45_000)
            with_hole(stranger, 20_000)
            await pair.alices.until(lambda: stranger.id in pair.alices.ends)
            assert pair.alices.ends[stranger.id].reason == "too much is kept for all"
            assert pair.bob._kept <= 50_000
            assert known.id not in pair.alices.ends

    run(story())


def with_hole(connection: Connection, size: int) -> None:
    """Send all but the first byte."""
    connection.send(bytes(size))
    connection._write_outgoing()
    connection._quic._streams[0].sender._pending.subtract(0, 1)


def test_connections_are_bounded():
    async def story() -> None:
        async with endpoints(Bounds(connections=2, per_network=2, handshakes_per_s=100)) as pair:
            await pair.connect()
            kept, _ = await pair.connect()
            pair.alice.dial((LOOPBACK, pair.bob.port))
            kept.send(b"after the third Initial")
            await pair.bobs.until(lambda: pair.bobs.data)
            assert len(pair.bob.connections) == 2
            kept.close()
            await pair.alices.until(lambda: len(pair.alices.up) == 3)

    run(story())


def test_probes_reach_the_handler():
    async def story() -> None:
        async with endpoints() as pair:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(b"\x01probe", (LOOPBACK, pair.bob.port))
                await pair.bobs.until(lambda: pair.bobs.probes)
                assert pair.bobs.probes == [(b"\x01probe", (LOOPBACK, sock.getsockname()[1]))]

    run(story())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(max_size=1400), max_size=20), st.booleans())
def test_garbage_harms_nobody(datagrams, full_sized):
    async def story() -> None:
        async with endpoints() as pair:
            dialed, accepted = await pair.connect()
            cids = list(pair.bob._routes)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                for number, garbage in enumerate(datagrams):
                    cid = cids[number % len(cids)]
                    head = b"\xc0\0\0\0\1\x08" + cid + b"\0\0" if full_sized else b"\x40" + cid
                    sock.sendto(garbage, (LOOPBACK, pair.bob.port))
                    sock.sendto((head + garbage).ljust(1200, b"\0"), (LOOPBACK, pair.bob.port))
                    sock.sendto(b"\xc0\0\0\0\1" + garbage.ljust(1200, b"\x08"), (LOOPBACK, pair.bob.port))
            dialed.send(b"after the garbage")
            await pair.bobs.until(lambda: pair.bobs.data.get(accepted.id) == b"after the garbage")
            assert accepted.address == (LOOPBACK, pair.alice.port)

    run(story())


def test_a_port_in_use_is_no_socket():
    async def story() -> None:
        async with endpoints() as pair:
            with pytest.raises(NoSocket):
                await Endpoint.open(ALICE, Recorder(), port=pair.alice.port)
            with pytest.raises(NoSocket):
                await Endpoint.open(ALICE, Recorder(), port=70_000)
            with pytest.raises(NoSocket):
                await Endpoint.open(ALICE, Recorder(), host="192.0.2.77")

    run(story())


def test_without_ipv6_the_socket_is_ipv4(monkeypatch):
    real = datagrams._bind_one

    def no_ipv6(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise NoSocket("no IPv6", errno=errno.EAFNOSUPPORT)
        return real(family, host, port)

    monkeypatch.setattr(datagrams, "_bind_one", no_ipv6)

    async def story() -> None:
        async with endpoints() as pair:
            dialed, _ = await pair.connect()
            assert dialed.connected
            with pytest.raises(Usage):
                pair.alice.dial(("::1", 9))

    run(story())


def test_only_ip_literals_are_dialled():
    async def story() -> None:
        async with endpoints() as pair:
            for host in ("localhost", "", "<broadcast>", "example.org"):
                with pytest.raises(Usage):
                    pair.alice.dial((host, 9))
            assert pair.alice.connections == ()

    run(story())
