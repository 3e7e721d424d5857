"""Where clients come from, as far as it is counted: an IPv4 address, or the /64 that one IPv6 client has.

What a store keeps of it is a tag: a hash under a key of this bridge, so that a copied store tells no addresses. Who
comes from this machine, or through a proxy that hides where from, is a network of its own: nobody shares its bounds.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

TAG_BYTES = 8  # two of 100,000 networks share one once in four billion bridges
IPV6_PREFIX = 64  # what one host or home is given at least (RFC 6177)


def network_of(host: str) -> str:
    """The network of a host's address, without a zone or with one; "" for this machine, and where it is not known."""
    if not host:
        return ""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        if mapped is None:
            whole = ipaddress.IPv6Network((int(address) >> IPV6_PREFIX << IPV6_PREFIX, IPV6_PREFIX))
            return "" if address.is_loopback else str(whole)
        address = mapped
    return "" if address.is_loopback else str(address)


class Origins:
    """Tags under one key. All processes of a bridge give the same."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def tag(self, network: str, account: bytes) -> bytes:
        """Of a network, or of the account itself where the network is ""."""
        what = b"network " + network.encode() if network else b"account " + account
        return hmac.digest(self._key, what, hashlib.sha256)[:TAG_BYTES]
