"""Hostile datagrams with valid protection: arbitrary frames, sealed with the keys of a connection."""

from __future__ import annotations

from aioquic import tls
from aioquic.buffer import encode_uint_var
from aioquic.quic.connection import QuicConnection

from p2p_agents.limits import DATAGRAM_BYTES

INITIAL, HANDSHAKE, ONE_RTT = tls.Epoch.INITIAL, tls.Epoch.HANDSHAKE, tls.Epoch.ONE_RTT
LONG_TYPES = {INITIAL: 0x00, HANDSHAKE: 0x20}  # RFC 9000 section 17.2
NUMBER_BYTES = 2
TAG_BYTES = 16
HEADROOM = 64  # more than a header and its tag

PING = b"\x01"
HANDSHAKE_DONE = b"\x1e"


def numbers(*values: int) -> bytes:
    return b"".join(map(encode_uint_var, values))


def crypto(offset: int, data: bytes) -> bytes:
    return numbers(0x06, offset, len(data)) + data


def stream(offset: int, data: bytes, *, number: int = 0, fin: bool = False) -> bytes:
    return numbers(0x0E | fin, number, offset, len(data)) + data


def ack(largest: int, *ranges: tuple[int, int], first: int = 0) -> bytes:
    """`ranges` are gap and length, as they stand in the frame (section 19.3.1)."""
    return numbers(0x02, largest, 0, len(ranges), first, *(number for pair in ranges for number in pair))


def new_cid(sequence: int, retire: int) -> bytes:
    return numbers(0x18, sequence, retire) + b"\x08" + sequence.to_bytes(8) + bytes(16)


def retire_cid(sequence: int) -> bytes:
    return numbers(0x19, sequence)


def path_challenge(data: bytes) -> bytes:
    return b"\x1a" + data


def close(reason: bytes = b"") -> bytes:
    return numbers(0x1D, 0, len(reason)) + reason


def seal(quic: QuicConnection, epoch: tls.Epoch, frames: bytes, *, to: bytes = b"") -> bytes:
    """One packet as `quic` would send it, to the connection id `to` or the one it uses."""
    number, quic._packet_number = quic._packet_number, quic._packet_number + 1
    peer, frames = to or quic._peer_cid.cid, frames.ljust(4, b"\0")
    if epoch is ONE_RTT:
        header = bytes([0x40 | quic._cryptos[epoch].key_phase << 2 | NUMBER_BYTES - 1]) + peer
    else:
        length = NUMBER_BYTES + len(frames) + TAG_BYTES
        header = bytes([0xC0 | LONG_TYPES[epoch] | NUMBER_BYTES - 1]) + b"\0\0\0\1"
        header += bytes([len(peer)]) + peer + bytes([len(quic.host_cid)]) + quic.host_cid
        header += (b"\0" if epoch is INITIAL else b"") + (length | 0x4000).to_bytes(2)
    header += (number & 0xFFFF).to_bytes(NUMBER_BYTES)
    return quic._cryptos[epoch].encrypt_packet(header, frames, number)


def datagrams(
    quic: QuicConnection, epoch: tls.Epoch, frames: list[bytes], *, size: int = DATAGRAM_BYTES
) -> list[bytes]:
    """All frames in as few packets as they fit into; Initial ones padded to what opens a connection."""
    payloads, room = [b""], size - HEADROOM
    for frame in frames:
        if len(payloads[-1]) + len(frame) > room:
            payloads.append(b"")
        payloads[-1] += frame
    sealed = [seal(quic, epoch, payload) for payload in payloads]
    return [data.ljust(DATAGRAM_BYTES, b"\0") for data in sealed] if epoch is INITIAL else sealed
