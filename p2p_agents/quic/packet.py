"""What a datagram says before any key is known: is it QUIC, for which connection, and may it open one."""

from __future__ import annotations

from aioquic.buffer import Buffer
from aioquic.quic.packet import QuicPacketType, QuicProtocolVersion, pull_quic_header

from p2p_agents.limits import DATAGRAM_BYTES
from p2p_agents.quic.private import CID_BYTES

FIXED_BIT = 0x40  # clear: not QUIC (RFC 9000 section 17)
LONG_HEADER = 0x80


def is_quic(data: bytes) -> bool:
    return len(data) > CID_BYTES and bool(data[0] & FIXED_BIT)


def destination_cid(data: bytes) -> bytes:
    """The connection id a QUIC datagram is addressed to (RFC 8999 section 5); b"" when it is cut short."""
    if data[0] & LONG_HEADER:
        return data[6 : 6 + data[5]]
    return data[1 : 1 + CID_BYTES]


def opens_connection(data: bytes) -> bytes | None:
    """The original destination id when the datagram may open a connection: a full-sized Initial of our version."""
    if not data[0] & LONG_HEADER or len(data) < DATAGRAM_BYTES:
        return None
    try:
        header = pull_quic_header(Buffer(data=data), host_cid_length=CID_BYTES)
    except ValueError:
        return None
    if header.packet_type != QuicPacketType.INITIAL or header.version != QuicProtocolVersion.VERSION_1:
        return None
    return header.destination_cid if len(header.destination_cid) >= CID_BYTES else None
