"""Stamps made in one go."""

from __future__ import annotations

import itertools

from p2p_agents.crypto.work import seek_stamp

TRIES = 1 << 12


def find_stamp(claim: bytes, bits: int) -> bytes:
    found = (seek_stamp(claim, bits, start, TRIES) for start in itertools.count(0, TRIES))
    return next(stamp for stamp in found if stamp is not None)
