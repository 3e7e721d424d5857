"""Whether a dialer is where it says: it returns a token sent there (RFC 9000 section 8.1.2). Nothing is kept."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aioquic.quic.packet import QuicProtocolVersion, encode_quic_retry

from p2p_agents.limits import PROOF_LIFE_S
from p2p_agents.quic.private import CID_BYTES

if TYPE_CHECKING:
    from p2p_agents.quic.address import Address
    from p2p_agents.quic.packet import Initial

TIME_BYTES = 8  # milliseconds of the loop's clock
TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class Opening:
    """A dialer's first packet: the connection id it chose at first, and the one it was told to use, if any."""

    chosen: bytes
    told: bytes = b""


class Proofs:
    """Makes and checks the tokens of one endpoint, under a key of this process."""

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key = os.urandom(32)

    def demand(self, initial: Initial, address: Address, now: float) -> bytes:
        """The Retry packet that tells the dialer to come again, with a token; smaller than what it answers."""
        told, time = os.urandom(CID_BYTES), int(now * 1_000).to_bytes(TIME_BYTES)
        token = self._tag(time, initial.to, told, address) + time + initial.to
        return encode_quic_retry(QuicProtocolVersion.VERSION_1, told, initial.frm, initial.to, token)

    def check(self, initial: Initial, address: Address, now: float) -> Opening | None:
        """The opening that a packet with one of our tokens continues; None for any other: its token counts as none."""
        tag, rest = initial.token[:TAG_BYTES], initial.token[TAG_BYTES:]
        time, chosen = rest[:TIME_BYTES], rest[TIME_BYTES:]
        if not hmac.compare_digest(tag, self._tag(time, chosen, initial.to, address)):
            return None
        fresh = 0 <= now - int.from_bytes(time) / 1_000 <= PROOF_LIFE_S
        return Opening(chosen, initial.to) if fresh else None

    def _tag(self, time: bytes, chosen: bytes, told: bytes, address: Address) -> bytes:
        host, port = address
        parts = (time, bytes([len(chosen)]), chosen, told, port.to_bytes(2), host.encode())
        return hmac.digest(self._key, b"".join(parts), hashlib.sha256)[:TAG_BYTES]
