"""Packets with valid protection and hostile frames: what they may make us do and keep is bounded by their bytes.

Work is counted in lines of Python, so that the tests hold on any machine.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicPreferredAddress

from p2p_agents.limits import (
    ACK_RANGES,
    ACKS_REMEMBERED,
    AMPLIFICATION,
    CIDS_ISSUED,
    CRYPTO_BYTES,
    DATAGRAM_FRAMES,
    KEY_UPDATES,
    PACKETS_IN_FLIGHT,
    PEER_CIDS_REMEMBERED,
    STREAM_PIECES,
    STREAM_WINDOW_BYTES,
)
from p2p_agents.quic import private
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.connection import Connection
from tests.quic import sealed
from tests.quic.network import Network, pair
from tests.quic.sealed import HANDSHAKE, INITIAL, ONE_RTT
from tests.quic.work import lines

PEER = ("192.0.2.9", 9)
CERTIFICATE = NodeCertificate.from_seed(b"target".ljust(32))
LINES_A_DATAGRAM, LINES_A_BYTE = 2_000, 25  # one full honest datagram runs 1,300
SMALL = sealed.HEADROOM + 8  # a packet for a frame


def stranger() -> tuple[QuicConnection, Connection]:
    """A dialer that has said nothing yet, and the connection that its first Initial opens."""
    dialer = private.BoundedQuicConnection(private.configuration(is_client=True, alpn="x", certificate=None))
    dialer.connect(PEER, now=0.0)
    config = private.configuration(is_client=False, alpn="x", certificate=CERTIFICATE)
    cid = dialer._peer_cid.cid
    accepted = Connection.accept(config, cid, 1, server_key=CERTIFICATE.public, now=0.0, wake=lambda connection: None)
    return dialer, accepted


def shaking() -> tuple[QuicConnection, Connection]:
    """The same in the middle of the handshake: both sides have the keys of its packets."""
    dialer, accepted = stranger()
    for data, _ in dialer.datagrams_to_send(now=0.0):
        accepted.receive(data, PEER, 0.0)
    for data, _ in accepted.datagrams(0.0):
        dialer.receive_datagram(data, PEER, now=0.0)
    assert dialer._cryptos[HANDSHAKE].send.is_valid()
    return dialer, accepted


def established() -> tuple[QuicConnection, Connection]:
    _, bob, connection = pair(Network())
    return connection._quic, bob.connected[0]


def dialed() -> tuple[QuicConnection, Connection]:
    """A server that attacks the client that dialed it."""
    _, bob, connection = pair(Network())
    return bob.connected[0]._quic, connection


STAGES = {
    "a stranger": (stranger, INITIAL),
    "in the handshake": (shaking, HANDSHAKE),
    "a peer": (established, ONE_RTT),
    "a server": (dialed, ONE_RTT),
}


def feed(target: Connection, datagrams: Iterable[bytes]) -> None:
    """One after the other; after each the connection says what it has to say."""
    now, address = target.last_heard, target.address if target.address[1] else PEER
    for data in datagrams:
        now += 0.001
        target.receive(data, address, now)
        target.events()
        target.datagrams(now)
        target.events()


def work(target: Connection, datagrams: list[bytes]) -> int:
    return lines(lambda: feed(target, datagrams))


def affordable(datagrams: list[bytes]) -> int:
    return sum(LINES_A_DATAGRAM + LINES_A_BYTE * len(data) for data in datagrams)


def wakes(target: Connection, seconds: float) -> int:
    """How often it asks for the time, with nobody there."""
    end, count = target.last_heard + seconds, 0
    while (due := target.deadline()) is not None and due < end:
        feed_time(target, due)
        count += 1
    return count


def feed_time(target: Connection, now: float) -> int:
    """The bytes it sends when it is told the time."""
    target.tick(now)
    target.events()
    said = sum(len(data) for data, _ in target.datagrams(now))
    target.events()
    return said


def receivers(target: Connection) -> list[private.BoundedReceiver]:
    quic = target._quic
    found = [stream.receiver for stream in (*quic._crypto_streams.values(), *quic._streams.values())]
    assert all(isinstance(receiver, private.BoundedReceiver) for receiver in found)
    return found


def kept(target: Connection) -> int:
    """Bytes of streams that wait for earlier ones."""
    return sum(receiver.pieces.kept for receiver in receivers(target))


def acknowledgements(target: Connection) -> int:
    """Packets of ours that are remembered although nobody has to acknowledge them."""
    return sum(len(space.sent_packets) - space.ack_eliciting_in_flight for space in target._quic._spaces.values())


ATTACKS = {
    "one-byte CRYPTO at every other offset": [sealed.crypto(offset, b"x") for offset in range(10, 12_000, 2)],
    "one-byte CRYPTO from the end": [sealed.crypto(offset, b"x") for offset in range(12_000, 9, -1)],
    "TLS that never ends, byte by byte": [sealed.crypto(0, b"\x01\xff\xff\xff")]
    + [sealed.crypto(offset, b"x") for offset in range(4, 6_000)],
    "CRYPTO at far offsets": [sealed.crypto(offset, b"x" * 900) for offset in range(1_000, 500_000, 5_000)],
    "one-byte STREAM at every other offset": [sealed.stream(offset, b"x") for offset in range(10, 12_000, 2)],
    "one-byte STREAM from the end": [sealed.stream(offset, b"x") for offset in range(12_000, 9, -1)],
    "one-byte STREAM in order": [sealed.stream(offset, b"x") for offset in range(5, 6_000)],
    "STREAM at far offsets": [sealed.stream(offset, b"x") for offset in range(100, STREAM_WINDOW_BYTES, 4_000)],
    "STREAM said again": [sealed.stream(0, b"hello")] * 6_000,
    "other streams": [sealed.stream(0, b"x", number=number) for number in range(1, 6_000)],
    "PING": [sealed.PING] * 6_000,
    "padding between": [b"\0" + sealed.PING] * 6_000,
    "HANDSHAKE_DONE": [sealed.HANDSHAKE_DONE] * 6_000,
    "ACK": [sealed.ack(3)] * 6_000,
    "ACK of many ranges": [sealed.ack(4_000, *[(0, 0)] * ranges) for ranges in (255, 500) * 20],
    "ACK of what was not sent": [sealed.ack(2**61, first=2**61)] * 1_000,
    "NEW_CONNECTION_ID": [sealed.new_cid(number, number) for number in range(8, 2_000)],
    "RETIRE_CONNECTION_ID": [sealed.retire_cid(number) for number in range(1, 4_000)],
    "PATH_CHALLENGE": [sealed.path_challenge(number.to_bytes(8)) for number in range(4_000)],
    "MAX_DATA": [sealed.numbers(0x10, number) for number in range(2**30, 2**30 + 4_000)],
    "MAX_STREAMS": [sealed.numbers(0x12, number) for number in range(4_000)],
    "DATA_BLOCKED": [sealed.numbers(0x14, number) for number in range(4_000)],
}


@pytest.mark.parametrize("size", [sealed.DATAGRAM_BYTES, 600, SMALL], ids=["full", "half", "one by one"])
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize(("stage", "epoch"), STAGES.values(), ids=STAGES)
def test_an_attack_by_frames_costs_work_and_memory_in_proportion_to_its_bytes(stage, epoch, attack, size):
    sender, target = stage()
    before = kept(target) if target._quic._spaces else 0
    datagrams = sealed.datagrams(sender, epoch, attack, size=size)[:400]
    assert work(target, datagrams) <= affordable(datagrams)
    assert kept(target) - before <= sum(map(len, datagrams))
    assert max(len(receiver.pieces) for receiver in receivers(target)) <= STREAM_PIECES + 1
    assert len(target._quic._events) <= 16
    assert acknowledgements(target) <= ACKS_REMEMBERED + 16


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("stage", "epoch"), STAGES.values(), ids=STAGES)
def test_any_frames_cost_work_and_memory_in_proportion_to_their_bytes(stage, epoch, seed, caplog):
    """Frames of every kind with numbers at every bound, and bytes that are no frames, until the connection ends."""
    chance = random.Random(f"{epoch} {seed}")
    for _ in range(8):
        sender, target = stage()
        frames = [any_frame(chance) for _ in range(chance.choice((3, 40, 400)))]
        chosen = sealed.datagrams(sender, epoch, frames, size=chance.choice((SMALL + 60, 600, sealed.DATAGRAM_BYTES)))
        assert work(target, chosen) <= affordable(chosen)
        assert not target._quic._spaces or kept(target) <= sum(map(len, chosen))
        assert wakes(target, 30.0) <= 40
    assert "broke the QUIC state" not in caplog.text


def any_frame(chance: random.Random) -> bytes:
    def number() -> int:
        return min(2**62 - 1, max(0, 2 ** chance.choice((0, 1, 3, 6, 8, 14, 19, 30, 62)) + chance.randint(-2, 2)))

    def data() -> bytes:
        return chance.randbytes(chance.choice((0, 1, 1, 2, 30, 400)))

    kinds = (
        lambda: sealed.crypto(number(), data()),
        lambda: sealed.stream(number(), data(), number=chance.choice((0, 0, 0, 0, 1, 2, 3, 4, 400))),
        lambda: sealed.ack(number(), *((number(), number()) for _ in range(chance.choice((0, 1, 60)))), first=number()),
        lambda: sealed.new_cid(number() % 2**32, number()),
        lambda: sealed.retire_cid(number() % 12),
        lambda: sealed.path_challenge(chance.randbytes(8)),
        lambda: b"\x1b" + chance.randbytes(8),
        lambda: sealed.PING * chance.choice((1, 1, 90)),
        lambda: b"\0" * chance.choice((1, 300)),
        lambda: sealed.numbers(chance.choice((0x10, 0x12, 0x13, 0x14, 0x16, 0x17)), number()),
        lambda: sealed.numbers(chance.choice((0x11, 0x15)), 0, number()),
        lambda: chance.randbytes(20) if chance.random() < 0.05 else b"",
    )
    return chance.choice(kinds)()


def test_a_stranger_is_dropped_in_its_first_datagram_of_too_many_frames():
    """One-byte CRYPTO frames at every other offset kept a node for 15 s before its handshake."""
    dialer, target = stranger()
    handled = []
    target._quic.meter, meter = lambda kind: (handled.append(kind), meter(kind)), target._quic.meter
    feed(target, sealed.datagrams(dialer, INITIAL, ATTACKS["one-byte CRYPTO at every other offset"]))
    assert len(handled) == DATAGRAM_FRAMES + 1
    assert target.ended


def test_nothing_is_handled_once_a_verdict_stands():
    """Neither the frames behind a goodbye, nor the datagrams that came in the same wake."""
    sender, target = established()
    handled = []
    target._quic.meter, meter = lambda kind: (handled.append(kind), meter(kind)), target._quic.meter
    rest = sealed.stream(5, b"late") * 5
    target.receive(sealed.seal(sender, ONE_RTT, sealed.close() + rest), PEER, 1.0)
    target.receive(sealed.seal(sender, ONE_RTT, rest), PEER, 1.0)
    assert handled == [0x1D, 0x0E]
    assert [type(event).__name__ for event in target.events()] == []


def test_our_own_verdict_stands_before_it_is_sent():
    sender, target = established()
    target.receive(sealed.seal(sender, ONE_RTT, sealed.numbers(0x04, 0, 0, 0)), PEER, 1.0)
    assert private.ending(target._quic).reason == "the message stream has no end"
    heard = target._quic._spaces[ONE_RTT].largest_received_packet
    target.receive(sealed.seal(sender, ONE_RTT, sealed.stream(5, b"late")), PEER, 1.0)
    assert target._quic._spaces[ONE_RTT].largest_received_packet == heard


@pytest.mark.parametrize("frame", [sealed.stream(5, b"", fin=True), sealed.numbers(0x05, 0, 0)], ids=["FIN", "STOP"])
def test_the_message_stream_has_no_end(frame):
    sender, target = established()
    feed(target, [sealed.seal(sender, ONE_RTT, frame)])
    assert target.ended


def test_a_handshake_takes_no_more_tls_than_it_needs():
    dialer, target = shaking()
    feed(target, [sealed.seal(dialer, HANDSHAKE, sealed.crypto(CRYPTO_BYTES, b"x"))])
    assert target.ended
    dialer, target = shaking()
    feed(target, [sealed.seal(dialer, HANDSHAKE, sealed.crypto(CRYPTO_BYTES - 1, b"x"))])
    assert not target.ended
    assert kept(target) == 1


def test_an_acknowledgement_has_few_ranges():
    sender, target = established()
    feed(target, [sealed.seal(sender, ONE_RTT, sealed.ack(4_000, *[(0, 0)] * ACK_RANGES))])
    assert not target.ended
    feed(target, [sealed.seal(sender, ONE_RTT, sealed.ack(4_000, *[(0, 0)] * (ACK_RANGES + 1)))])
    assert target.ended


def test_who_only_asks_makes_us_remember_few_of_our_answers():
    """A peer that pings and acknowledges nothing: our answer to every second packet was kept for ever."""
    sender, target = established()
    feed(target, [sealed.seal(sender, ONE_RTT, sealed.PING) for _ in range(6 * ACKS_REMEMBERED)])
    assert not target.ended
    assert acknowledgements(target) <= ACKS_REMEMBERED + 16


def test_who_acknowledges_nothing_while_we_speak_is_left():
    _, target = established()
    target._quic._loss._cc.congestion_window = 2**40
    now = target.last_heard
    for _ in range(PACKETS_IN_FLIGHT + 1_000):
        now += 0.001
        target.send(b"x")
        target.datagrams(now)
        if target.ended:
            break
    assert [event.kind for event in target.events()] == ["flood"]


@pytest.mark.parametrize("datagrams", [1, 2, 5])
@pytest.mark.parametrize("spoilt", [False, True], ids=["falls silent", "ends in a goodbye"])
def test_an_unproven_address_gets_three_times_what_it_sent_goodbye_included(spoilt, datagrams):
    """The goodbye of a handshake that nobody finished came on top of it: 3.13 times (RFC 9000 section 8.1)."""
    dialer, target = stranger()
    [(hello, _)] = dialer.datagrams_to_send(now=0.0)
    pings = [sealed.PING] * (datagrams - 1) + [sealed.PING * (DATAGRAM_FRAMES + 1)] * spoilt
    heard, said = 0, 0
    for data in (hello, *(sealed.datagrams(dialer, INITIAL, [ping])[0] for ping in pings)):
        target.receive(data, PEER, 0.0)
        target.events()
        heard += len(data)
        said += sum(len(data) for data, _ in target.datagrams(0.0))
        target.events()
        assert said <= AMPLIFICATION * heard
    assert target.ended is spoilt
    assert len(hello) < said + run_out(target) <= AMPLIFICATION * heard


def run_out(target: Connection) -> int:
    """Bytes it says until it ends, with nobody there."""
    said = 0
    while (due := target.deadline()) is not None:
        said += feed_time(target, due)
    return said


def test_a_peer_that_seems_to_move_everywhere_has_each_address_answered_threefold_at_most():
    """It sends in other hosts' names; the backlog goes to where it seems to be."""
    sender, target = established()
    target.send(bytes(200_000))
    heard, said = Counter(), Counter()
    for step in range(400):
        address, now = (f"198.51.100.{step % 40}", 9), target.last_heard + 0.01
        frames = sealed.PING + sealed.path_challenge(step.to_bytes(8)) * (step % 3)
        data = sealed.seal(sender, ONE_RTT, frames + bytes(step % 7 * 30))
        target.receive(data, address, now)
        target.events()
        heard[address] += len(data)
        for data, to in target.datagrams(now):
            said[to] += len(data)
        assert all(said[to] <= AMPLIFICATION * heard[to] for to in heard)
    assert len(target._quic._network_paths) <= 8


def test_a_server_sends_nobody_elsewhere():
    _, dialer = dialed()
    dialer._quic._remote_preferred_address = QuicPreferredAddress(("198.51.100.7", 9), None, b"elsewher", bytes(16))
    server = dialer.address
    dialer._quic.send_ping(0)
    assert {address for _, address in dialer.datagrams(dialer.last_heard + 1)} == {server}
    assert len(dialer._quic._network_paths) == 1


def test_ids_that_a_peer_replaces_for_ever_are_forgotten():
    sender, target = established()
    for number in range(8, 8 * PEER_CIDS_REMEMBERED):
        target._quic.change_connection_id()
        latest = target._quic._packet_number - 1
        feed(target, [sealed.seal(sender, ONE_RTT, sealed.ack(latest, first=latest) + sealed.new_cid(number, 0))])
    assert not target.ended
    assert len(target._quic._peer_cid_sequence_numbers) <= 2 * PEER_CIDS_REMEMBERED


def test_a_peer_that_retires_our_ids_for_ever_is_left():
    sender, target = established()
    for number in range(1, CIDS_ISSUED - 7):
        feed(target, [sealed.seal(sender, ONE_RTT, sealed.retire_cid(number))])
        assert not target.ended
    feed(target, [sealed.seal(sender, ONE_RTT, sealed.retire_cid(number + 1))])
    assert target.ended


def test_a_peer_that_changes_its_keys_with_every_packet_is_left():
    sender, target = established()
    for _ in range(KEY_UPDATES + 1):
        assert not target.ended
        sender._cryptos[ONE_RTT]._update_key("ours")
        feed(target, [sealed.seal(sender, ONE_RTT, sealed.PING)])
    assert target.ended


def test_acknowledging_every_other_byte_of_what_we_send_is_no_more_work_than_all():
    """The same quadratic shape on the sending side: ranges that are acknowledged, and ranges to send again."""

    def cost(count: int) -> int:
        ranges = private.SearchedRanges()
        for start in range(0, 4 * count, 4):
            ranges.add(start, start + 1)
        return lines(lambda: (ranges.add(4 * count, 4 * count + 1), ranges.subtract(4 * count - 8, 4 * count)))

    assert cost(10) == cost(5_000)
