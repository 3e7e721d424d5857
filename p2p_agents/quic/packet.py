"""Reading a datagram before any key is known: is it QUIC, for which connection, and may it open one."""

from __future__ import annotations

from dataclasses import dataclass

from p2p_agents.limits import DATAGRAM_BYTES
from p2p_agents.quic.private import CID_BYTES

FIXED_BIT = 0x40  # clear: not QUIC (RFC 9000 section 17)
LONG_HEADER = 0x80
TYPE_BITS = 0x30  # both clear: an Initial (RFC 9000 section 17.2)
VERSION_1 = b"\0\0\0\1"
CID_MAX_BYTES = 20


@dataclass(frozen=True, slots=True)
class Initial:
    """The header of a packet that opens a connection: connection ids, and a token from an earlier Retry or b""."""

    to: bytes
    frm: bytes
    token: bytes


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


def initial(data: bytes) -> Initial | None:
    """The header of a datagram that `opens_connection`; None if it is cut short (section 17.2.2)."""
    start = 6 + data[5]
    frm = data[start + 1 : start + 1 + data[start]]
    token_at = start + 1 + len(frm)
    length, token_at = _number(data, token_at)
    token = data[token_at : token_at + length]
    whole = data[start] <= CID_MAX_BYTES and len(token) == length
    return Initial(data[6:start], frm, token) if whole else None


def _number(data: bytes, start: int) -> tuple[int, int]:
    """A variable-length integer and where it ends (section 16); a datagram that opens a connection holds it whole."""
    size = 1 << (data[start] >> 6)
    return int.from_bytes(data[start : start + size]) & (1 << 8 * size - 2) - 1, start + size
