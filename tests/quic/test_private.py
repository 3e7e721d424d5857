"""The contract with aioquic: each private attribute is still what quic/private.py expects."""

from __future__ import annotations

import datetime
import random

import pytest
from aioquic import tls
from aioquic.quic.connection import QuicConnection
from aioquic.quic.packet import QuicStreamFrame
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import QuicStreamReceiver
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from p2p_agents.limits import IDLE_TIMEOUT_S, STREAM_WINDOW_BYTES
from p2p_agents.quic import private
from p2p_agents.quic.certificate import NodeCertificate
from p2p_agents.quic.packet import destination_cid

CERTIFICATE = NodeCertificate.from_seed(b"contract".ljust(32))


class Wire:
    """A dialer and an acceptor that exchange datagrams at once; `now` advances by a millisecond a round."""

    def __init__(self, certificate: NodeCertificate = CERTIFICATE) -> None:
        self.now = 0.0
        config = private.configuration(is_client=False, alpn="x", certificate=certificate)
        self.dialer = private.BoundedQuicConnection(private.configuration(is_client=True, alpn="x", certificate=None))
        self.dialer.connect("acceptor", now=0.0)
        first = self.dialer.datagrams_to_send(now=0.0)
        self.acceptor = private.BoundedQuicConnection(config, destination_cid(first[0][0]))
        self.in_flight = {self.acceptor: [data for data, _ in first], self.dialer: []}

    def exchange(self, rounds: int = 20) -> None:
        for _ in range(rounds):
            self.now += 0.03
            for quic, other, name in (
                (self.acceptor, self.dialer, "dialer"),
                (self.dialer, self.acceptor, "acceptor"),
            ):
                for data in self.in_flight[quic]:
                    quic.receive_datagram(data, name, now=self.now)
                timer = quic.get_timer()
                if timer is not None and timer <= self.now:
                    quic.handle_timer(self.now)
                if private.has_path(quic):
                    self.in_flight[other] = [data for data, _ in quic.datagrams_to_send(now=self.now)]


@pytest.fixture
def wire():
    wire = Wire()
    wire.exchange()
    return wire


def test_peer_certificate_key_is_the_key_tls_proved(wire):
    assert private.peer_certificate_key(wire.dialer) == CERTIFICATE.public
    assert private.peer_certificate_key(wire.acceptor) is None


def test_peer_certificate_key_refuses_another_kind_of_key():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    certificate = NodeCertificate.from_seed(bytes(32))
    certificate.tls_key = key
    certificate.tls_certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2100, 1, 1, tzinfo=datetime.UTC))
        .sign(key, hashes.SHA256())
    )
    wire = Wire(certificate)
    wire.exchange()
    assert wire.dialer._handshake_complete
    assert private.peer_certificate_key(wire.dialer) is None


def test_certificate_verify_is_checked_although_chains_are_not():
    """A server that shows a certificate without holding its key does not get through the handshake."""
    thief = NodeCertificate.from_seed(b"thief".ljust(32))
    thief.tls_certificate = CERTIFICATE.tls_certificate
    wire = Wire(thief)
    wire.exchange()
    assert not wire.dialer._handshake_complete
    ending = private.ending(wire.dialer)
    assert ending is not None
    assert ending.code == 0x100 + int(tls.AlertDescription.decrypt_error)


def test_send_backlog_is_what_was_written_and_not_acknowledged(wire):
    assert private.send_backlog(wire.dialer) == 0
    wire.dialer.send_stream_data(0, b"x" * 10_000)
    assert private.send_backlog(wire.dialer) == 10_000
    wire.exchange()
    assert private.send_backlog(wire.dialer) == 0


def test_every_stream_has_a_receiver_and_ranges_of_ours(wire):
    wire.dialer.send_stream_data(0, b"0123456789")
    wire.exchange()
    for quic in (wire.dialer, wire.acceptor):
        streams = [*quic._crypto_streams.values(), *quic._streams.values()]
        assert len(streams) == 4
        for stream in streams:
            assert type(stream.receiver) is private.BoundedReceiver
            assert type(stream.sender._acked) is type(stream.sender._pending) is private.SearchedRanges


def test_a_receiver_of_ours_gives_out_what_aioquics_does():
    chance = random.Random(1)
    for _ in range(300):
        theirs, ours = QuicStreamReceiver(0, readable=True), private.BoundedReceiver(0)
        for _ in range(40):
            offset, data = chance.randrange(60), bytes(chance.randrange(12))
            events = [r.handle_frame(QuicStreamFrame(offset=offset, data=data)) for r in (theirs, ours)]
            assert events[0] == events[1]
            assert theirs.starting_offset() == ours.starting_offset()
            assert theirs.highest_offset == ours.highest_offset


def test_ranges_of_ours_are_what_aioquics_are():
    chance = random.Random(1)
    for _ in range(300):
        theirs, ours = RangeSet(), private.SearchedRanges()
        for _ in range(40):
            start = chance.randrange(60)
            name, stop = chance.choice(("add", "add", "subtract")), start + chance.randint(1, 12)
            for ranges in (theirs, ours):
                getattr(ranges, name)(start, stop)
            assert list(theirs) == list(ours)
        if len(ours):
            assert ours.shift() == theirs.shift()
        assert theirs == ours


def test_every_frame_is_looked_up_before_it_is_handled(wire):
    """The meter sits in the table of handlers."""
    kinds: list[int] = []
    wire.acceptor.meter = kinds.append
    wire.dialer.send_stream_data(0, b"hello")
    wire.dialer.send_ping(1)
    wire.exchange(1)
    wire.exchange(1)
    assert {0x01, 0x0A} <= set(kinds)


def test_reassembly_bytes_are_those_behind_a_hole(wire):
    wire.dialer.send_stream_data(0, b"0123456789")
    sender = wire.dialer._streams[0].sender
    sender._pending.subtract(0, 10)
    for start in (2, 5, 8):
        sender._pending.add(start, start + 1)
    wire.exchange()
    assert private.reassembly_bytes(wire.acceptor) == 3
    assert private.reassembly_bytes(wire.dialer) == 0


def test_packets_in_flight_are_those_to_be_acknowledged(wire):
    assert private.packets_in_flight(wire.dialer) == 0
    wire.dialer.send_ping(1)
    wire.dialer.datagrams_to_send(now=wire.now)
    assert private.packets_in_flight(wire.dialer) == 1


def test_has_path_after_the_first_good_datagram():
    wire = Wire()
    assert private.has_path(wire.dialer)
    assert not private.has_path(wire.acceptor)
    wire.exchange(1)
    assert private.has_path(wire.acceptor)


def test_idle_deadline_moves_with_authentic_datagrams_only(wire):
    before = private.idle_deadline(wire.dialer)
    wire.now += 1
    wire.dialer.receive_datagram(b"\x40" + wire.dialer.host_cid + bytes(60), "acceptor", now=wire.now)
    assert private.idle_deadline(wire.dialer) == before
    wire.acceptor.send_ping(1)
    wire.exchange(2)
    assert private.idle_deadline(wire.dialer) == pytest.approx(wire.now + IDLE_TIMEOUT_S, abs=0.1)


def test_ending_is_known_before_the_closing_period_is_over(wire):
    assert private.ending(wire.dialer) is None
    wire.dialer.close(error_code=20, reason_phrase="enough")
    wire.in_flight[wire.acceptor] = [data for data, _ in wire.dialer.datagrams_to_send(now=wire.now)]
    wire.exchange(1)
    ours, theirs = private.ending(wire.dialer), private.ending(wire.acceptor)
    assert ours == private.Ending(20, "enough", application=True, by_peer=False, silent=False)
    assert theirs == private.Ending(20, "enough", application=True, by_peer=True, silent=False)


def test_ending_of_silence_is_silent(wire):
    wire.dialer.handle_timer(wire.now + 2 * IDLE_TIMEOUT_S)
    ending = private.ending(wire.dialer)
    assert ending is not None
    assert ending.silent
    assert not ending.by_peer


def test_streams_are_limited_to_the_dialers_first(wire):
    assert (wire.dialer._remote_max_streams_bidi, wire.dialer._remote_max_streams_uni) == (1, 0)
    assert (wire.acceptor._remote_max_streams_bidi, wire.acceptor._remote_max_streams_uni) == (0, 0)


def test_only_x25519_is_offered(wire):
    assert wire.dialer.tls._supported_groups == [tls.Group.X25519]
    assert wire.acceptor.tls._supported_groups == [tls.Group.X25519]


def test_credit_follows_what_was_delivered(wire):
    wire.dialer.send_stream_data(0, b"x" * 3 * STREAM_WINDOW_BYTES)
    stream = wire.dialer._streams[0]
    assert stream.max_stream_data_remote == STREAM_WINDOW_BYTES
    wire.exchange(400)
    assert private.send_backlog(wire.dialer) == 0
    assert 3 * STREAM_WINDOW_BYTES < stream.max_stream_data_remote <= 4 * STREAM_WINDOW_BYTES


def test_a_lost_grant_of_credit_is_repeated(wire):
    wire.dialer.send_stream_data(0, b"x" * 2 * STREAM_WINDOW_BYTES)
    for _ in range(600):
        wire.exchange(1)
        granted = wire.acceptor._streams.get(0)
        if granted is not None and granted.max_stream_data_local > STREAM_WINDOW_BYTES:
            wire.in_flight[wire.dialer] = []
            break
    wire.exchange(600)
    assert private.send_backlog(wire.dialer) == 0


@pytest.mark.parametrize(
    "method",
    [
        "_initialize",
        "_write_stream_limits",
        "_on_max_stream_data_delivery",
        "_get_or_create_stream",
        "_get_or_create_stream_for_send",
        "_handle_ack_frame",
        "_handle_new_connection_id_frame",
        "_handle_retire_connection_id_frame",
        "_log_key_updated",
        "_probe_preferred_address",
    ],
)
def test_what_is_overridden_or_called_exists(method):
    assert callable(getattr(QuicConnection, method))


def test_an_acknowledgement_waits_for_data_unless_hastened(wire):
    wire.dialer.send_ping(0)
    ((ping, _),) = wire.dialer.datagrams_to_send(now=wire.now)
    wire.acceptor.receive_datagram(ping, "dialer", now=wire.now)
    assert wire.acceptor.datagrams_to_send(now=wire.now) == []
    assert wire.acceptor.get_timer() == pytest.approx(wire.now + private.ACK_DELAY_S)
    private.hasten_ack(wire.acceptor)
    ((acknowledgement, _),) = wire.acceptor.datagrams_to_send(now=wire.now)
    wire.dialer.receive_datagram(acknowledgement, "acceptor", now=wire.now)
    assert wire.dialer._loss.spaces[-1].ack_eliciting_in_flight == 0


def test_an_acknowledgement_waits_less_than_is_announced(wire):
    assert wire.dialer._loss.max_ack_delay > private.ACK_DELAY_S
