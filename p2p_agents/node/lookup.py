"""Resolves host names that people type into addresses to dial."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from p2p_agents.errors import NotReachable, Usage
from p2p_agents.quic.address import format_address, from_sockaddr, parse_address, split_address

LOOKUP_S = 5.0  # a resolver that has not answered by then counts as having no answer
ADDRESSES_MAX = 8  # dialed for one name; a host has a few


async def addresses_of(text: str) -> list[str]:
    """An address unchanged, or all addresses that the system's resolver gives for a host name. Raises Usage or
    NotReachable."""
    host, port = split_address(text)
    if not any(char.isalpha() for char in host) or ":" in host:
        return [format_address(parse_address(text))]
    return await _look_up(host, port)


async def _look_up(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(LOOKUP_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError, a name that cannot be encoded a ValueError
        why = getattr(error, "strerror", None) or str(error) or "no answer in time"
        hint = "check the name, or give an IP address"
        raise NotReachable(f"no address is known for {host!r}: {why}", hint=hint) from error
    addresses: list[str] = []
    for *_, sockaddr in found:
        with suppress(Usage):
            addresses.append(format_address(parse_address(format_address(from_sockaddr(sockaddr)))))
    return list(dict.fromkeys(addresses))[:ADDRESSES_MAX]
