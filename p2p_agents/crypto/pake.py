"""CPace-X25519-SHA512 (draft-irtf-cfrg-cpace-21): two who know a few words agree on a key nobody else learns.

Initiator-responder mode with explicit key confirmation. Who does not know the words gets one guess in each run, and
learns from it only whether the guess was right. Names follow the draft: prs is the secret, ci the context, sid the run,
ad what each side adds and has confirmed.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from enum import IntEnum

import nacl.bindings as sodium
import nacl.exceptions

from p2p_agents.errors import BadSeal
from p2p_agents.wire.cbor import blob

SCALAR_BYTES = 32
SHARE_BYTES = 32
KEY_BYTES = 64

_DSI = b"CPace255"
_DSI_ISK = b"CPace255_ISK"
_MAC = b"CPaceMac"
_BLOCK_BYTES = 128  # SHA-512's: the secret fills the first block with its padding
_P = 2**255 - 19
_A = 486_662  # Curve25519: v^2 = u^3 + A u^2 + u


class Side(IntEnum):
    """The two roles; the order in which their messages enter the key."""

    INITIATOR = 0
    RESPONDER = 1


@dataclass(frozen=True, slots=True)
class Agreed:
    """The result of a run: a 64-byte key, the tag to send and the tag to expect."""

    key: bytes = field(repr=False)
    own_tag: bytes = field(repr=False)
    peer_tag: bytes = field(repr=False)

    def confirms(self, tag: bytes) -> bool:
        """Whether the peer's tag is right, so that it knew the same words. Takes the same time either way."""
        return hmac.compare_digest(tag, self.peer_tag)


@dataclass(frozen=True, slots=True)
class Run:
    """One side of one run, its share ready to be sent. Finish it once."""

    side: Side
    sid: bytes
    ad: bytes
    share: bytes
    _scalar: bytes = field(repr=False, compare=False)

    def finish(self, share: bytes, ad: bytes) -> Agreed:
        """The key, given the peer's share and ad. Raises BadSeal for a share that must not be used."""
        if share == self.share:  # a reflection: the peer's tag would be our own
            raise BadSeal("the pairing share is our own")
        common = _multiply(self._scalar, blob(share, size=SHARE_BYTES, what="pairing share"))
        sides = [lv(self.share, self.ad), lv(share, ad)]
        own, peer = sides
        first, second = sides if self.side is Side.INITIATOR else reversed(sides)
        key = hashlib.sha512(lv(_DSI_ISK, self.sid, common) + first + second).digest()
        mac_key = hashlib.sha512(_MAC + self.sid + key).digest()
        return Agreed(key, hmac.digest(mac_key, own, "sha512"), hmac.digest(mac_key, peer, "sha512"))


def begin(side: Side, *, prs: bytes, ci: bytes, sid: bytes, ad: bytes, scalar: bytes) -> Run:
    """A side of a run; `scalar` is 32 fresh random bytes."""
    blob(scalar, size=SCALAR_BYTES, what="pairing scalar")
    return Run(side, sid, ad, _multiply(scalar, generator(prs, ci, sid)), scalar)


def generator(prs: bytes, ci: bytes, sid: bytes) -> bytes:
    """The point both sides start from (draft, section 7.2): it hides the secret, as if it were random."""
    padding = max(0, _BLOCK_BYTES - 1 - len(lv(prs)) - len(lv(_DSI)))
    digest = hashlib.sha512(lv(_DSI, prs, bytes(padding), ci, sid)).digest()
    return _elligator2(int.from_bytes(digest[:32], "little") % 2**255)


def lv(*parts: bytes) -> bytes:
    """Each part prefixed with its length as LEB128, so that parts cannot run into each other."""
    return b"".join(_leb128(len(part)) + part for part in parts)


def _leb128(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _elligator2(r: int) -> bytes:
    """RFC 9380 section 6.7.1 with Z = 2: the u coordinate of a point on the curve.

    The time that Python's integers take depends on their value; but a code lasts ten minutes and three tries.
    """
    v = -_A * pow(1 + 2 * r * r, -1, _P) % _P  # 1 + 2 r^2 is never 0: -1/2 is not a square
    on_curve = pow(v * (v * v + _A * v + 1), (_P - 1) // 2, _P) == 1  # nor is it ever 0
    u = v if on_curve else (-v - _A) % _P
    return u.to_bytes(32, "little")


def _multiply(scalar: bytes, point: bytes) -> bytes:
    """X25519. Raises BadSeal for a point of low order: anybody knows its product."""
    try:
        return sodium.crypto_scalarmult(scalar, point)
    except nacl.exceptions.RuntimeError:
        raise BadSeal("the pairing share has low order") from None
