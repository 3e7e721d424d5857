"""Bulk streams: granted one by one, bounded in what they keep, and never in the way of the message stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from p2p_agents.limits import BULK_BACKLOG_BYTES, BULK_STREAMS_OPEN, BULK_WINDOW_BYTES
from p2p_agents.quic import bulk_streams
from p2p_agents.quic.connection import BulkGranted, BulkReceived, BulkRoom, BulkSent, BulkStopped
from tests.quic.network import Host, Network, pair

if TYPE_CHECKING:
    from p2p_agents.quic.connection import BulkEvent, Connection


class Carrier:
    """Gives `body` on a stream as there is room, or takes what comes and lets more come only where `eager`."""

    def __init__(self, host: Host, *, eager: bool = True) -> None:
        self.eager, self.network = eager, host.network
        self.events: list[BulkEvent] = []
        self.got: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.left = b""
        self.most = 0  # that was written and not acknowledged
        host.carried = self.carried

    def give(self, connection: Connection, body: bytes) -> int:
        self.left = body
        self.network.run(1.0)
        stream = connection.open_bulk()
        if stream is not None:
            self.fill(connection, stream)
        return stream if stream is not None else -1

    def fill(self, connection: Connection, stream: int) -> None:
        part, self.left = self.left[: BULK_BACKLOG_BYTES // 2], self.left[BULK_BACKLOG_BYTES // 2 :]
        connection.send_bulk(stream, part, end=not self.left)
        self.most = max(self.most, bulk_streams.backlog(connection._quic, stream) or 0)

    def carried(self, connection: Connection, event: BulkEvent) -> None:
        self.events.append(event)
        match event:
            case BulkRoom(stream) if self.left:
                self.fill(connection, stream)
            case BulkReceived(stream, data, end):
                self.got[stream] = self.got.get(stream, b"") + data
                self.ended |= {stream} if end else set()
                if self.eager:
                    connection.consumed(stream, len(data))


def two(network: Network) -> tuple[Host, Host, Connection, Connection]:
    alice, bob, connection = pair(network)
    return alice, bob, connection, bob.connected[0]


BODY = bytes(range(256)) * 8_192  # 2 MiB: several windows


@pytest.mark.parametrize("loss", [0.0, 0.05])
@pytest.mark.parametrize("dialer", [True, False])
def test_a_body_arrives_whole_and_its_sender_keeps_little_of_it(loss: float, dialer: bool) -> None:
    network = Network(loss=loss)
    alice, bob, here, there = two(network)
    if not dialer:
        alice, bob, here, there = bob, alice, there, here
    giver, taker = Carrier(alice), Carrier(bob)
    there.grant_bulk(1)
    stream = giver.give(here, BODY)
    assert network.run(60, lambda: bool(taker.ended) and BulkSent(stream) in giver.events)
    assert taker.got == {stream: BODY}
    assert giver.most <= BULK_BACKLOG_BYTES
    network.run(1.0)
    assert stream not in here._quic._streams
    assert stream not in there._quic._streams


def test_what_nobody_granted_does_not_leave() -> None:
    """K4: no transfer begins before the core of the other side asked for it."""
    network = Network()
    alice, bob, here, there = two(network)
    giver, taker = Carrier(alice), Carrier(bob)
    assert here.open_bulk() is None
    network.run(3.0)
    assert giver.events == []
    there.grant_bulk(1)
    assert network.run(3.0, lambda: giver.events == [BulkGranted()])
    stream = giver.give(here, b"now")
    assert network.run(3.0, lambda: stream in taker.ended)
    assert here.open_bulk() is None


def test_a_stream_beyond_those_granted_ends_the_connection() -> None:
    """K4: as many streams as were asked for, however many have ended since."""
    network = Network()
    alice, bob, here, there = two(network)
    giver, taker = Carrier(alice), Carrier(bob)
    there.grant_bulk(1)
    first = giver.give(here, b"first")
    assert network.run(3.0, lambda: first in taker.ended)
    network.run(1.0)
    here._quic._remote_max_streams_uni = 2**30
    giver.give(here, b"second")
    network.run(3.0)
    assert [(closed.kind, closed.by_peer) for closed in bob.closed] == [("protocol", False)]
    assert taker.got == {first: b"first"}


def test_a_taker_that_does_not_go_on_gets_a_window_and_no_more() -> None:
    """C1: credit follows what is on disk."""
    network = Network()
    alice, bob, here, there = two(network)
    giver, taker = Carrier(alice), Carrier(bob, eager=False)
    there.grant_bulk(1)
    stream = giver.give(here, BODY)
    network.run(5.0)
    assert len(taker.got[stream]) == BULK_WINDOW_BYTES
    here.send(b"still heard")
    assert network.run(1.0, lambda: bob.received.endswith(b"still heard"))
    there.consumed(stream, BULK_WINDOW_BYTES)
    network.run(5.0)
    assert len(taker.got[stream]) == 2 * BULK_WINDOW_BYTES


def test_a_message_waits_for_no_transfer() -> None:
    """Words pass a body that fills its window, within what is under way."""
    network = Network(latency=0.02)
    alice, bob, here, there = two(network)
    giver, taker = Carrier(alice), Carrier(bob)
    there.grant_bulk(1)
    giver.give(here, BODY)
    assert network.run(5, lambda: bool(taker.got))
    began, had = network.now, sum(map(len, taker.got.values()))
    here.send(b"a word")
    assert network.run(5, lambda: bob.received.endswith(b"a word"))
    assert sum(map(len, taker.got.values())) - had <= BULK_WINDOW_BYTES
    assert network.now - began < 5


@pytest.mark.parametrize("who", ["giver", "taker"])
def test_either_side_may_give_a_transfer_up(who: str) -> None:
    network = Network()
    alice, bob, here, there = two(network)
    giver, taker = Carrier(alice), Carrier(bob, eager=False)
    there.grant_bulk(1)
    stream = giver.give(here, BODY)
    assert network.run(5, lambda: bool(taker.got))
    (here if who == "giver" else there).end_bulk(stream, 5)
    network.run(2.0)
    told = taker if who == "giver" else giver
    assert [event for event in told.events if isinstance(event, BulkStopped)] == [BulkStopped(stream, 5)]
    assert stream not in here._quic._streams
    assert stream not in there._quic._streams
    here.send(b"on we go")
    assert network.run(1.0, lambda: bob.received.endswith(b"on we go"))


def test_streams_that_a_peer_will_not_end_cost_it_the_connection() -> None:
    """Told to stop, it leaves them open: a new grant for each, until there are too many."""
    network = Network()
    alice, bob, here, there = two(network)
    handlers = here._quic._QuicConnection__frame_handlers
    handlers[0x05] = lambda _, __, buf: buf.pull_bytes(2), handlers[0x05][1]  # it does not hear STOP_SENDING
    Carrier(alice)
    taker = Carrier(bob)
    for _ in range(BULK_STREAMS_OPEN + 1):
        assert bob.closed == []
        there.grant_bulk(1)
        network.run(1.0)
        stream = here.open_bulk()
        here.send_bulk(stream, b"drip")
        network.run(1.0)
        if stream in taker.got:
            there.end_bulk(stream, 1)
        network.run(1.0)
    assert [closed.kind for closed in bob.closed] == ["protocol"]
    assert len(taker.got) == BULK_STREAMS_OPEN


def test_holes_in_bulk_streams_count_as_what_is_kept() -> None:
    """C1: what all connections keep beyond holes is bounded together, whatever stream it is of."""
    network = Network()
    alice, bob, here, there = two(network)
    Carrier(bob)
    there.grant_bulk(1)
    network.run(1.0)
    number = here.open_bulk()
    sender = here._quic._streams[number].sender
    here.send_bulk(number, bytes(10_000))
    sender._pending.subtract(0, 100)
    alice.wake(here)
    network.run(0.05)
    assert there.kept() == 9_900
