"""What a datagram reveals before any key is known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.limits import DATAGRAM_BYTES
from p2p_agents.quic import packet, private


def initial() -> bytes:
    quic = private.BoundedQuicConnection(private.configuration(is_client=True, alpn="x", certificate=None))
    quic.connect("peer", now=0.0)
    data = quic.datagrams_to_send(now=0.0)[0][0]
    assert packet.destination_cid(data) == quic.original_destination_connection_id
    return data


def test_an_initial_opens_a_connection():
    data = initial()
    assert packet.is_quic(data)
    assert packet.opens_connection(data)


def test_a_short_initial_or_one_of_another_version_opens_none():
    data = initial()
    assert not packet.opens_connection(data[: DATAGRAM_BYTES - 1])
    assert not packet.opens_connection(data[:1] + b"\xff\0\0\1" + data[5:])
    assert not packet.opens_connection(bytes([data[0] | 0x20]) + data[1:])
    assert not packet.opens_connection(data[:5] + b"\x07" + data[6:])


def test_a_short_header_names_eight_bytes():
    assert packet.destination_cid(b"\x40" + b"12345678" + b"rest") == b"12345678"


@given(st.binary(max_size=40))
def test_any_bytes_are_sorted_without_a_fault(data):
    if packet.is_quic(data):
        assert len(packet.destination_cid(data)) <= 255
        assert not packet.opens_connection(data)


@given(st.binary(max_size=60))
def test_any_header_that_opens_a_connection_is_read_or_dropped(header):
    data = (b"\xc0\0\0\0\1\x08" + header).ljust(DATAGRAM_BYTES, b"\xff")
    assert packet.opens_connection(data)
    found = packet.initial(data)
    assert found is None or (len(found.to) == 8 and len(found.frm) <= 20)


def test_a_header_is_read_as_it_was_written():
    to, frm, token = b"t" * 20, b"f" * 3, b"x" * 100
    data = b"\xc0\0\0\0\1\x14" + to + b"\x03" + frm + b"\x40\x64" + token
    assert packet.initial(data.ljust(DATAGRAM_BYTES, b"\0")) == packet.Initial(to, frm, token)
    assert packet.initial((data[:30] + b"\x7f\xff").ljust(DATAGRAM_BYTES, b"\0")) is None
