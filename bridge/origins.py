"""Where clients come from, as far as it is counted: an IPv4 address, or the /64 that one IPv6 client has.

What a store keeps of it is a tag: a hash under a key of this bridge, so that a copied store tells no addresses. Who
comes from this machine, or through a proxy that hides where from, is a network of its own: nobody shares its bounds.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p_agents.crypto.signing import SigningKey

TAG_BYTES = 8  # two of 100,000 networks share one once in four billion bridges
WHAT, LABEL = b"the key of its tags", "p2pa/1 bridge origins"  # signed: the same for one bridge's key


class Origins:
    """Tags under one key. All processes of a bridge give the same."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def of(cls, bridge: SigningKey) -> Origins:
        return cls(hashlib.sha256(bridge.sign(WHAT, LABEL)).digest())

    def tag(self, network: str, account: bytes) -> bytes:
        """Of a network, or of the account itself where the network is ""."""
        what = b"network " + network.encode() if network else b"account " + account
        return hmac.digest(self._key, what, hashlib.sha256)[:TAG_BYTES]
