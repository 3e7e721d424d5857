"""What a datagram says before any key is known: is it QUIC, for which connection, and may it open one."""

from __future__ import annotations

from p2p_agents.limits import DATAGRAM_BYTES
from p2p_agents.quic.private import CID_BYTES

FIXED_BIT = 0x40  # clear: not QUIC (RFC 9000 section 17)
LONG_HEADER = 0x80
TYPE_BITS = 0x30  # both clear: an Initial (RFC 9000 section 17.2)
VERSION_1 = b"\0\0\0\1"
CID_MAX_BYTES = 20


def is_quic(data: bytes) -> bool:
    return len(data) > CID_BYTES and bool(data[0] & FIXED_BIT)


def destination_cid(data: bytes) -> bytes:
    """The connection id a QUIC datagram is addressed to (RFC 8999 section 5)."""
    if data[0] & LONG_HEADER:
        return data[6 : 6 + data[5]]
    return data[1 : 1 + CID_BYTES]


def opens_connection(data: bytes) -> bool:
    """Whether a QUIC datagram may open a connection: a full-sized Initial of our version (section 14.1)."""
    return (
        len(data) >= DATAGRAM_BYTES
        and data[0] & (LONG_HEADER | TYPE_BITS) == LONG_HEADER
        and data[1:5] == VERSION_1
        and CID_BYTES <= data[5] <= CID_MAX_BYTES
    )
