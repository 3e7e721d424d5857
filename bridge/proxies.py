"""The address of a client behind a proxy, as trusted proxies tell it, and nobody else. No I/O.

A proxy writes the address it was called from behind those that stand in X-Forwarded-For already, and anybody may have
written those. So the header is read from its end: the first address there that is no trusted proxy's is the client's.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.errors import Usage
from p2p_agents.quic.address import MAPPED, canonical_host

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER = "X-Forwarded-For"
NETWORKS = 64  # that are trusted: their addresses are compared for every connection
HOPS = 8  # proxies that stand before each other
HEADER_CHARS = 1_024  # of its end, that are read: HOPS addresses, however they are written
HINT = "give the proxies' own addresses, such as 10.0.0.5 or 10.0.0.0/24,fd00::/64"

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The trusted proxies; none without `parse`."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Proxies:
        """Addresses and prefixes as an operator lists them. Raises Usage."""
        words = [word.strip() for word in text.split(",") if word.strip()]
        if len(words) > NETWORKS:
            raise Usage(f"--trusted-proxy names {len(words)} networks; {NETWORKS} are read", hint=HINT)
        return cls(tuple(map(_network, words)))

    def trusts(self, host: str) -> bool:
        """Whether this address, as a socket shows it, is a trusted proxy's."""
        if not self.networks:
            return False
        address = ipaddress.ip_address(host.removeprefix(MAPPED).partition("%")[0])
        return any(address in network for network in self.networks)

    def client(self, proxy: str, forwarded: Iterable[str]) -> str:
        """The address of the client that a trusted proxy brings, from all its headers in their order; "" for one that
        is a trusted proxy itself. Where they tell none, the proxy's own: who is not told apart counts as one."""
        listed = ",".join(forwarded)[-HEADER_CHARS:].split(",")
        for word in listed[: -HOPS - 1 : -1]:
            host = _host(word.strip())
            if host is None:
                return proxy
            if not self.trusts(host):
                return host
        return "" if len(listed) <= HOPS else proxy


def _network(word: str) -> Network:
    try:
        found = ipaddress.ip_network(word)
    except ValueError as error:
        raise Usage(f"--trusted-proxy is no address and no prefix: {word[:80]!r}", hint=HINT) from error
    if not found.prefixlen:
        raise Usage("--trusted-proxy would believe everybody", hint=HINT)
    return found


def _host(word: str) -> str | None:
    """An IP address, with a port or without, as proxies write them; None for anything else."""
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    elif word.count(":") == 1:
        word = word.partition(":")[0]
    if "%" in word:
        return None
    try:
        return canonical_host(word)
    except Usage:
        return None
