"""Network addresses as people and the log see them: an IP literal with its scope, and a port."""

from __future__ import annotations

import functools
import ipaddress
import socket

from p2p_agents.errors import Usage

Address = tuple[str, int]
SockAddr = tuple[str, int] | tuple[str, int, int, int]

PORT_MAX = 65_535
MAPPED = "::ffff:"  # IPv4 as a dual-stack socket shows it
IPV6_PREFIX = 64  # bits of what one host or home is given at least (RFC 6177)


def parse_address(text: str) -> Address:
    """`host:port` or `[v6]:port` with an IP literal; resolves nothing. Raises Usage."""
    host, port = split_address(text)
    return canonical_host(host), port


def split_address(text: str) -> Address:
    """The same with any host, which may be a name. Raises Usage."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]:")
        if not bracket or ":" not in host:
            raise Usage(f"not an address: {text!r}", hint="write it as [fe80::1%2]:4433")
    else:
        host, colon, port = text.rpartition(":")
        if not colon:
            raise Usage(
                f"no port in {text!r}", hint=f"write it as {text or 'HOST'}:4433, with the port of the node there"
            )
        if ":" in host:
            raise Usage(f"not an address: {text!r}", hint="put an IPv6 address in brackets: [::1]:4433")
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) <= PORT_MAX):
        raise Usage(f"not a port (1 to {PORT_MAX}): {text!r}")
    return host, int(port)


def is_loopback(address: str) -> bool:
    """Whether host:port is of this machine and no other."""
    return network_of(parse_address(address)[0]) == ""


def format_address(address: Address) -> str:
    """The inverse of `parse_address`."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@functools.lru_cache(maxsize=1024)
def canonical_host(host: str) -> str:
    """The one spelling of an IP literal: IPv4-mapped as IPv4, a scope only on link-local. Raises Usage."""
    literal, _, scope = host.partition("%")
    try:
        ip = ipaddress.ip_address(literal)
    except ValueError:
        raise Usage(f"not an IP address: {host!r}") from None
    if isinstance(ip, ipaddress.IPv4Address):
        if scope:
            raise Usage(f"an IPv4 address has no scope: {host!r}")
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    if not ip.is_link_local:
        return str(ip)
    return f"{ip}%{_scope_id(scope)}" if scope else str(ip)


@functools.lru_cache(maxsize=1024)
def to_sockaddr(address: Address, family: int) -> SockAddr:
    """The address as a socket of `family` takes it. Raises Usage when the family cannot reach it."""
    host, port = canonical_host(address[0]), address[1]
    if not 0 < port <= PORT_MAX:
        raise Usage(f"not a port (1 to {PORT_MAX}): {port}")
    if family == socket.AF_INET:
        if ":" in host:
            raise Usage(f"an IPv4 socket cannot reach {host}")
        return host, port
    if ":" not in host:
        return MAPPED + host, port, 0, 0
    literal, _, scope = host.partition("%")
    return literal, port, 0, int(scope or 0)


@functools.lru_cache(maxsize=1024)
def from_sockaddr(sockaddr: SockAddr) -> Address:
    """What `recvfrom` says, as an Address."""
    host, port = sockaddr[0], sockaddr[1]
    if host.startswith(MAPPED) and "." in host:
        return host[len(MAPPED) :], port
    if len(sockaddr) == 4 and sockaddr[3] and "%" not in host:
        return f"{host}%{sockaddr[3]}", port
    return host, port


@functools.lru_cache(maxsize=1024)
def network_of(host: str) -> str:
    """The network of a host's address, without a scope or with one: an IPv4 address, or the /64 that one IPv6 host has.

    "" for this machine, and where it is not known.
    """
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


def _scope_id(scope: str) -> int:
    if scope.isascii() and scope.isdecimal() and len(scope) <= 9:
        return int(scope)
    try:
        return socket.if_nametoindex(scope)
    except OSError:
        raise Usage(f"no such network interface: {scope!r}") from None
