"""Whole connections in virtual time: honest peers on a bad network, hostile peers on a good one."""

from __future__ import annotations

import os

import pytest
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicErrorCode

from p2p_agents.limits import (
    DIAL_TIMEOUT_S,
    HEARTBEAT_S,
    IDLE_TIMEOUT_S,
    SEND_BACKLOG_BYTES,
    STREAM_PIECES,
    STREAM_WINDOW_BYTES,
)
from p2p_agents.quic import private
from p2p_agents.quic.connection import (
    CLOSE_FLOOD,
    CLOSE_OWNER,
    CLOSE_PROTOCOL,
    CLOSE_REFUSED,
    CLOSE_TIMEOUT,
    Closed,
    Connection,
)
from tests.quic.network import Network, pair

MESSAGES = b"".join(b"message %04d, and some more to fill packets\n" % number for number in range(2_000))


# --- honest peers, bad networks ---


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_every_byte_arrives_in_order_over_a_bad_network(seed):
    network = Network(seed)
    alice, bob, connection = pair(network)
    bob.echo = True
    network.loss, network.duplication, network.jitter = 0.3, 0.1, 0.02
    for start in range(0, len(MESSAGES), 1_000):
        connection.send(MESSAGES[start : start + 1_000])
    assert network.run(600, lambda: len(alice.received) >= len(MESSAGES))
    assert bob.received == MESSAGES
    assert alice.received == MESSAGES


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_flipped_bits_are_lost_datagrams(seed):
    network = Network(seed)
    network.corruption = 0.3
    alice, bob = network.host("alice"), network.host("bob")
    connection = alice.dial(bob, pin=bob.certificate.public)
    connection.send(MESSAGES)
    assert network.run(60, lambda: bob.received == MESSAGES)
    assert not alice.closed


def test_a_partition_of_three_seconds_loses_nothing():
    network = Network()
    _, bob, connection = pair(network)
    network.cut = True
    connection.send(MESSAGES)
    network.run(3.0)
    assert bob.received == b""
    network.cut = False
    assert network.run(10, lambda: bob.received == MESSAGES)


def test_questions_and_answers_carry_each_other_s_acknowledgements():
    network = Network(latency=0.001)
    alice, bob, connection = pair(network)
    bob.echo = True
    network.run(1.0)
    before = len(network.carried)
    for number in range(10):
        connection.send(b"question %d" % number)
        assert network.run(1.0, lambda: alice.received.endswith(b"question %d" % number))  # noqa: B023 - run at once
    assert len(network.carried) - before == 20


def test_a_quiet_connection_stays_up():
    network = Network()
    alice, bob, connection = pair(network)
    network.run(60.0)
    assert not alice.closed
    assert not bob.closed
    assert network.now - connection.last_heard <= HEARTBEAT_S + 0.1


@pytest.mark.parametrize("sending", [False, True])
def test_a_vanished_peer_is_noticed(sending):
    network = Network()
    alice, bob, connection = pair(network)
    heard = connection.last_heard
    bob.vanish()
    if sending:
        connection.send(b"is anybody there?")
    network.run(60.0)
    assert alice.closed == [Closed(CLOSE_TIMEOUT, "the peer fell silent", by_peer=False, kind="timeout")]
    assert alice.closed_at - heard <= HEARTBEAT_S + IDLE_TIMEOUT_S + 0.1


def test_a_dial_that_nobody_answers_times_out():
    network = Network()
    alice, bob = network.host("alice"), network.host("bob")
    bob.vanish()
    connection = alice.dial(bob)
    network.run(60.0)
    assert [closed.kind for closed in alice.closed] == ["timeout"]
    assert alice.closed_at == pytest.approx(DIAL_TIMEOUT_S)
    assert not connection.connected


def test_a_peer_that_moves_to_another_port_is_followed():
    network = Network()
    alice, bob, connection = pair(network)
    bob.echo = True
    alice.move(("192.0.2.1", 50_000))
    connection.send(b"from elsewhere")
    assert network.run(10, lambda: alice.received == b"from elsewhere")
    assert bob.connections[0].address == ("192.0.2.1", 50_000)
    network.run(30.0)
    assert not bob.closed


def test_two_peers_that_dial_each_other_have_two_connections():
    """C3: there is no tie-break below links."""
    network = Network()
    alice, bob = network.host("alice"), network.host("bob")
    alice.dial(bob)
    bob.dial(alice)
    network.run(5.0)
    assert sorted(connection.dialed for connection in alice.connected) == [False, True]
    assert sorted(connection.dialed for connection in bob.connected) == [False, True]


def test_each_side_learns_the_server_key():
    """C2: HELLO signs the server key that TLS proved; it is the same on both sides."""
    network = Network()
    _, bob, connection = pair(network)
    assert connection.server_key == bob.certificate.public
    assert bob.connected[0].server_key == bob.certificate.public


def test_the_acceptor_may_answer_before_it_is_spoken_to():
    network = Network()
    alice, bob = network.host("alice"), network.host("bob")
    connection = alice.dial(bob)
    assert network.run(5, lambda: bool(bob.connected))
    bob.connected[0].send(b"welcome")
    network.run(1.0)
    assert alice.received == b""
    assert bob.connected[0].backlog() == len(b"welcome")
    connection.send(b"hello")
    assert network.run(1, lambda: alice.received == b"welcome")


def test_both_sides_see_why_a_connection_closed():
    network = Network()
    alice, bob, connection = pair(network)
    connection.send(b"last words")
    network.run(1.0)
    connection.close(CLOSE_OWNER, "no link")
    network.run(1.0)
    assert bob.received == b"last words"
    assert alice.closed == [Closed(CLOSE_OWNER, "no link", by_peer=False, kind="closed")]
    assert bob.closed == [Closed(CLOSE_OWNER, "no link", by_peer=True, kind="closed")]


def test_a_closed_connection_ignores_what_it_is_told():
    network = Network()
    alice, _, connection = pair(network)
    connection.close()
    connection.close(CLOSE_OWNER, "twice")
    connection.send(b"too late")
    network.run(60.0)
    connection.tick(network.now)
    connection.receive(b"\x40" * 100, ("192.0.2.9", 1), network.now)
    assert [closed.code for closed in alice.closed] == [0]
    assert connection.datagrams(network.now) == []
    assert connection.deadline() is None


def test_the_backlog_counts_what_is_not_acknowledged():
    network = Network()
    _, _, connection = pair(network)
    network.run(1.0)
    assert connection.backlog() == 0
    connection.send(b"x" * 1_000)
    assert connection.backlog() == 1_000
    network.run(1.0)
    assert connection.backlog() == 0


def test_a_backlog_beyond_its_bound_closes_the_connection():
    network = Network()
    alice, bob, connection = pair(network)
    chunk = b"x" * (SEND_BACKLOG_BYTES // 8)
    for _ in range(8):
        connection.send(chunk)
    assert not alice.closed
    connection.send(b"x")
    network.run(1.0)
    assert [(closed.code, closed.kind, closed.by_peer) for closed in alice.closed] == [(CLOSE_FLOOD, "flood", False)]
    assert [(closed.code, closed.kind, closed.by_peer) for closed in bob.closed] == [(CLOSE_FLOOD, "flood", True)]
    assert connection.backlog() <= SEND_BACKLOG_BYTES + len(b"hello") + 1


# --- attacks ---


def test_wrong_pin():
    network = Network()
    alice, bob = network.host("alice"), network.host("bob")
    connection = alice.dial(bob, pin=alice.certificate.public)
    connection.send(b"for somebody else's eyes")
    network.run(5.0)
    assert [(closed.code, closed.kind) for closed in alice.closed] == [(CLOSE_REFUSED, "refused")]
    assert [closed.kind for closed in bob.closed] == ["refused"]
    assert alice.connected == []
    assert bob.received == b""
    assert connection.server_key == b""


def test_zero_rtt_is_off_and_no_ticket_is_issued():
    """C2: no tickets, no 0-RTT."""
    network = Network()
    alice, bob = network.host("alice"), network.host("bob")
    tickets = []
    connection = alice.dial(bob)
    connection._quic._session_ticket_handler = tickets.append
    connection._quic.tls.new_session_ticket_cb = tickets.append
    assert network.run(5, lambda: bool(bob.connected))
    network.run(1.0)
    server_tls = bob.connected[0]._quic.tls
    assert tickets == []
    assert server_tls.get_session_ticket_cb is None
    assert server_tls.new_session_ticket_cb is None
    assert not server_tls.early_data_accepted


def test_another_protocol_is_refused():
    network = Network()
    alice, bob = network.host("alice"), network.host("bob")
    alice.client = private.configuration(is_client=True, alpn="h3", certificate=None)
    alice.dial(bob)
    network.run(5.0)
    assert [(closed.kind, closed.by_peer) for closed in alice.closed] == [("refused", True)]
    assert bob.connected == []


def quic_of(connection: Connection) -> QuicConnection:
    """The QUIC state below a connection, for peers that break the rules."""
    quic = connection._quic
    quic._remote_max_streams_bidi = quic._remote_max_streams_uni = 2**30
    quic._remote_max_datagram_frame_size = 1_000
    return quic


@pytest.mark.parametrize(
    "misdeed",
    [
        pytest.param(lambda quic: quic.send_stream_data(4, b"another"), id="second stream"),
        pytest.param(lambda quic: quic.send_stream_data(2, b"one way"), id="unidirectional stream"),
        pytest.param(lambda quic: quic.send_stream_data(0, b"", end_stream=True), id="end of the stream"),
        pytest.param(lambda quic: quic.reset_stream(0, 7), id="reset of the stream"),
        pytest.param(lambda quic: quic.stop_stream(0, 7), id="stop sending"),
        pytest.param(lambda quic: quic.send_datagram_frame(b"datagram"), id="datagram"),
    ],
)
def test_anything_but_the_message_stream_is_a_protocol_violation(misdeed):
    network = Network()
    alice, bob, connection = pair(network)
    misdeed(quic_of(connection))
    alice.wake(connection)
    network.run(2.0)
    assert [(closed.kind, closed.by_peer) for closed in bob.closed] == [("protocol", False)]
    assert [(closed.kind, closed.by_peer) for closed in alice.closed] == [("protocol", True)]


def test_ten_thousand_streams_cost_nothing():
    network = Network()
    alice, bob, connection = pair(network)
    quic = quic_of(connection)
    for number in range(10_000):
        quic.send_stream_data(4 * (number + 1), b"x")
    alice.wake(connection)
    network.run(2.0)
    assert [closed.kind for closed in bob.closed] == ["protocol"]
    assert len(bob.connections[0]._quic._streams) == 1


def test_the_acceptor_opens_no_stream_either():
    network = Network()
    alice, bob, _ = pair(network)
    quic_of(bob.connected[0]).send_stream_data(1, b"mine")
    bob.wake(bob.connected[0])
    network.run(2.0)
    assert [(closed.kind, closed.by_peer) for closed in alice.closed] == [("protocol", False)]


def hold_back(connection: Connection, *, offset: int, stop: int, step: int) -> None:
    """Have the message stream's next bytes sent as single bytes, `step` apart, and the rest never."""
    sender = connection._quic._streams[0].sender
    sender.write(bytes(stop))
    sender._pending.subtract(0, sender._buffer_stop)
    for position in range(offset, stop, step):
        sender._pending.add(position, position + 1)
    connection._quic._remote_max_data = connection._quic._streams[0].max_stream_data_remote = 2**40


def test_credit_is_not_inflated_by_touching_its_end():
    """A byte at the end of the window does not double the window: what must be buffered is bounded."""
    network = Network()
    alice, bob, connection = pair(network)
    stream = bob.connected[0]._quic._streams[0]
    hold_back(connection, offset=STREAM_WINDOW_BYTES - 1, stop=STREAM_WINDOW_BYTES, step=1)
    alice.wake(connection)
    network.run(2.0)
    assert not bob.closed
    assert sum(map(len, stream.receiver.pieces._pieces)) <= 1
    assert stream.max_stream_data_local <= STREAM_WINDOW_BYTES + len(b"hello")
    hold_back(connection, offset=2 * STREAM_WINDOW_BYTES, stop=2 * STREAM_WINDOW_BYTES + 1, step=1)
    alice.wake(connection)
    network.run(2.0)
    assert [closed.kind for closed in bob.closed] == ["protocol"]
    assert sum(map(len, stream.receiver.pieces._pieces)) <= 1


def test_a_stream_of_holes_is_refused():
    network = Network()
    alice, bob, connection = pair(network)
    hold_back(connection, offset=100, stop=100 + 8 * STREAM_PIECES, step=2)
    alice.wake(connection)
    network.run(5.0)
    assert [closed.reason for closed in bob.closed] == ["too many gaps"]
    assert bob.closed[0].code == QuicErrorCode.PROTOCOL_VIOLATION


def test_a_peer_that_never_reads_ends_by_the_backlog():
    network = Network()
    alice, bob, connection = pair(network)
    bob.connected[0]._quic._write_stream_limits = lambda **_: None
    for _ in range(200):
        connection.send(b"x" * 64 * 1024)
        network.run(0.5)
    assert [closed.kind for closed in alice.closed] == ["flood"]
    assert len(bob.received) <= STREAM_WINDOW_BYTES


def test_a_held_peer_may_fill_its_window_and_goes_on_when_released():
    """Backpressure for an owner whose own consumer is slow."""
    network = Network()
    alice, bob, connection = pair(network)
    bob.connected[0].hold(True)
    body = b"x" * 3 * STREAM_WINDOW_BYTES
    connection.send(body)
    network.run(5.0)
    assert len(bob.received) <= STREAM_WINDOW_BYTES
    assert not bob.closed
    bob.connected[0].hold(False)
    network.run(5.0)
    assert bob.received.endswith(body)
    assert alice.closed == bob.closed == []


def test_a_slow_sender_is_not_hurried():
    network = Network()
    _, bob, connection = pair(network)
    for number in range(40):
        connection.send(bytes([number]))
        network.run(2.0)
    assert bob.received == bytes(range(40))
    assert not bob.closed


def test_garbage_does_not_count_as_hearing_the_peer():
    network = Network()
    alice, bob, connection = pair(network)
    network.run(1.0)
    heard = connection.last_heard
    cid = connection._quic.host_cid
    connection.receive(b"\x40" + cid + os.urandom(50), bob.address, network.now)
    connection.receive(b"\x40" + cid + os.urandom(50), ("192.0.2.77", 9), network.now)
    assert connection.last_heard == heard
    assert connection.address == bob.address
    assert not alice.closed


def test_a_fault_inside_the_library_costs_one_connection(caplog):
    network = Network()
    alice, bob, connection = pair(network)

    def fail(*_):
        raise AssertionError("a bug")

    bob.connected[0]._quic.receive_datagram = fail
    connection.send(b"poison")
    network.run(2.0)
    assert [(closed.code, closed.by_peer) for closed in bob.closed] == [(CLOSE_PROTOCOL, False)]
    assert [closed.kind for closed in alice.closed] == ["protocol"]
    assert "broke the QUIC state" in caplog.text


def test_a_fault_while_sending_costs_one_connection(caplog):
    network = Network()
    _, bob, connection = pair(network)

    def fail(*_):
        raise AssertionError("a bug")

    bob.connected[0]._quic.datagrams_to_send = fail
    connection.send(b"poison")
    network.run(2.0)
    assert [(closed.code, closed.by_peer) for closed in bob.closed] == [(CLOSE_PROTOCOL, False)]
    assert "the QUIC state is broken" in caplog.text
