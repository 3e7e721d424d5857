"""Proof of work for a public queue, and for newcomers to a bridge that is nearly full: cheap for one request, expensive
for a flood (hashcash, Back 2002).

A stamp is 32 bytes such that SHA-256(claim || stamp) begins with enough zero bits. The claim names the bridge's
challenge of this connection, so no work can be done ahead or used twice.
"""

from __future__ import annotations

import hashlib

from p2p_agents.crypto.digest import H

STAMP_BYTES = 32

NEWCOMER_BITS = 4  # more than for a public queue: it is done once, and its effect lasts
NEWCOMER_BITS_MOST = 22  # unless a public queue asks for more

_LABEL = "p2pa/1 bridge work"
_NEWCOMER_LABEL = "p2pa/1 bridge newcomer"


def work_claim(bridge: bytes, challenge: bytes, queue: bytes, blob: bytes) -> bytes:
    """The claim that a stamp for that blob is made over."""
    return H(_LABEL, bridge, challenge, queue, blob)


def newcomer_claim(bridge: bytes, challenge: bytes, account: bytes, number: int) -> bytes:
    """The claim that a newcomer's stamp is made over, after the bridge accepted `number` on this connection."""
    return H(_NEWCOMER_LABEL, bridge, challenge, account, number.to_bytes(8, "big"))


def newcomer_bits(bits: int) -> int:
    """The bits that it must reach, if a stamp for a public queue must reach `bits`."""
    return max(bits, min(bits + NEWCOMER_BITS, NEWCOMER_BITS_MOST))


def work_done(claim: bytes, stamp: bytes) -> int:
    """The zero bits that a stamp reaches."""
    return 256 - int.from_bytes(hashlib.sha256(claim + stamp).digest(), "big").bit_length()


def seek_stamp(claim: bytes, bits: int, start: int, tries: int) -> bytes | None:
    """The first stamp of at least `bits` among `tries` from number `start` on, or None. It takes about 2**bits hashes:
    some 0.2 s for 18."""
    known = hashlib.sha256(claim)
    bound = 1 << (256 - bits)
    for number in range(start, start + tries):
        stamp = number.to_bytes(STAMP_BYTES, "big")
        tried = known.copy()
        tried.update(stamp)
        if int.from_bytes(tried.digest(), "big") < bound:
            return stamp
    return None
