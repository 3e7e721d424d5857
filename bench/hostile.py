"""What a megabyte of datagrams that mean ill costs, before a handshake and after it, within the bounds that hold."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import TYPE_CHECKING

from bench.figure import Figure, figure
from p2p_agents.quic import private
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import Connection
from tests.quic import sealed
from tests.quic.network import Network, pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aioquic.quic.connection import QuicConnection

PEER = ("192.0.2.9", 9)
CERTIFICATE = NodeCertificate.from_seed(b"target".ljust(32))
MEGABYTE = 10**6
WAKE = 64  # datagrams read before anything is said
STREAM_AT = len(b"hello")  # what the stream carried before

Volley = tuple[Connection, list[bytes]]


def measure(quick: bool) -> list[Figure]:
    """Seconds of a core for a megabyte: of the attack that costs most, and of the others beside it."""
    size, rounds = (MEGABYTE // 20, 1) if quick else (MEGABYTE // 2, 3)
    honest = median(_seconds(_honest, size) for _ in range(rounds))
    found = []
    for name, attacks in (("hostile.before", BEFORE), ("hostile.after", AFTER)):
        samples = {attack: [_seconds(volleys, size) for _ in range(rounds)] for attack, volleys in attacks.items()}
        worst = max(samples, key=lambda attack: median(samples[attack]))
        beside = {attack: median(seconds) for attack, seconds in samples.items()} | {"honest": honest}
        found.append(figure(name, samples[worst], "s/MB", baseline=beside, must="4 s/MB"))
    return found


def _seconds(volleys: Callable[[], Iterator[Volley]], size: int) -> float:
    """Of this process, for a megabyte; datagrams are made while nothing is counted."""
    heard, spent = 0, 0.0
    for connection, datagrams in volleys():
        began = time.process_time()
        _feed(connection, datagrams)
        spent += time.process_time() - began
        heard += sum(map(len, datagrams))
        if heard >= size:
            break
    return spent / heard * MEGABYTE


def _feed(connection: Connection, datagrams: list[bytes]) -> None:
    address = connection.address if connection.connected else PEER
    for first in range(0, len(datagrams), WAKE):
        now = connection.last_heard + 0.001
        for data in datagrams[first : first + WAKE]:
            connection.receive(data, address, now)
        connection.events()
        connection.datagrams(now)
        connection.events()


# --- before a handshake: each volley is a connection of its own ---


def _strangers(frames: list[bytes]) -> Callable[[], Iterator[Volley]]:
    def volleys() -> Iterator[Volley]:
        while True:
            dialer = private.BoundedQuicConnection(private.configuration(is_client=True, alpn="x", certificate=None))
            dialer.connect(PEER, now=0.0)
            datagrams = sealed.datagrams(dialer, sealed.INITIAL, frames, size=HUNDRED) if frames else _hello(dialer)
            yield _accepted(dialer), datagrams

    return volleys


def _hello(dialer: QuicConnection) -> list[bytes]:
    return [data for data, _ in dialer.datagrams_to_send(now=0.0)]


def _accepted(dialer: QuicConnection) -> Connection:
    config = private.configuration(is_client=False, alpn="x", certificate=CERTIFICATE)
    cid, key = dialer._peer_cid.cid, CERTIFICATE.public
    return Connection.accept(config, cid, 1, server_key=key, now=0.0, wake=lambda connection: None)


# --- after it: a peer that goes on for as long as it is let ---


def _peers(datagrams: Callable[[QuicConnection], list[bytes]]) -> Callable[[], Iterator[Volley]]:
    def volleys() -> Iterator[Volley]:
        while True:
            _, bob, connection = pair(Network())
            yield bob.connected[0], datagrams(connection._quic)

    return volleys


def _frames(frames: list[bytes], size: int) -> Callable[[], Iterator[Volley]]:
    return _peers(lambda quic: sealed.datagrams(quic, sealed.ONE_RTT, frames, size=size))


def _key_updates(quic: QuicConnection) -> list[bytes]:
    found = []
    for _ in range(500):
        found.append(sealed.seal(quic, sealed.ONE_RTT, sealed.PING))
        quic._cryptos[sealed.ONE_RTT]._update_key("ours")
    return found


def _unreadable(quic: QuicConnection) -> list[bytes]:
    return [b"\x40" + quic._peer_cid.cid + os.urandom(24) for _ in range(1_000)]


ONE, HUNDRED = sealed.HEADROOM + 8, sealed.HEADROOM + 600  # bytes of a datagram for so many small frames
_honest = _frames([sealed.stream(STREAM_AT + 1_100 * n, bytes(1_100)) for n in range(450)], sealed.DATAGRAM_BYTES)
BEFORE = {
    "first packets of handshakes": _strangers([]),
    "CRYPTO in single bytes": _strangers([sealed.crypto(2 * n, b"x") for n in range(5, 400)]),
}
AFTER = {
    "STREAM in single bytes with gaps": _frames([sealed.stream(2 * n, b"x") for n in range(5, 500)], HUNDRED),
    "one of them a datagram": _frames([sealed.stream(2 * n, b"x") for n in range(5, 500)], ONE),
    "STREAM in single bytes": _frames([sealed.stream(n, b"x") for n in range(STREAM_AT, 9_000)], HUNDRED),
    "PING": _frames([sealed.PING] * 1_000, sealed.HEADROOM + 1),
    "RETIRE_CONNECTION_ID": _frames([sealed.retire_cid(n) for n in range(1, 2_000)], sealed.HEADROOM + 2 * 100),
    "ACK of many ranges": _frames([sealed.ack(4_000, *[(0, 0)] * 250)] * 500, sealed.HEADROOM + 520),
    "key updates": _peers(_key_updates),
    "unreadable": _peers(_unreadable),
}
