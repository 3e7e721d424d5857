"""This machine's addresses, in the order peers should try them, and a watch over their changes."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from typing import TYPE_CHECKING, NamedTuple

import ifaddr

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

POLL_S = 5.0  # no portable notification exists; a new network is used this soon
BRIDGE_NAMES = (
    "docker",
    "br-",
    "veth",
    "virbr",
    "vboxnet",
    "vmnet",
    "cni",
    "flannel",
    "lxc",
    "lxd",
    "podman",
)
ADDRESSES_MAX = 32  # of one node: more would not fit an mDNS packet


def local_addresses() -> tuple[str, ...]:
    """IP literals others may reach us by; no loopback. Link-local IPv6 carries its scope.

    Real networks before container bridges, IPv4 before IPv6, link-local last.
    """
    ranked = sorted(_usable(), key=lambda found: found[0])
    return tuple(dict.fromkeys(host for _, host in ranked))[:ADDRESSES_MAX]


def loopback_addresses() -> tuple[str, ...]:
    """The loopback literals that exist here."""
    return tuple(dict.fromkeys(found.host for found in _all_addresses() if found.ip.is_loopback))


class InterfaceWatch:
    """Calls `changed()` in the loop when the addresses, loopback included, differ from the last look."""

    def __init__(self, changed: Callable[[], object], *, every_s: float = POLL_S) -> None:
        self._changed = changed
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look once, then keep watching."""
        first = await asyncio.to_thread(_snapshot)
        self._task = asyncio.get_running_loop().create_task(self._watch(first))

    async def stop(self) -> None:
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None

    async def _watch(self, last: frozenset[str]) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                now = await asyncio.to_thread(_snapshot)
            except OSError as fault:
                log.warning("cannot list network interfaces: %s", fault)
                continue
            if now != last:
                last = now
                self._changed()


def _snapshot() -> frozenset[str]:
    return frozenset(found.host for found in _all_addresses())


def _usable() -> list[tuple[tuple[bool, bool, bool], str]]:
    return [
        ((found.bridge, ":" in found.host, found.ip.is_link_local), found.host)
        for found in _all_addresses()
        if not (found.ip.is_loopback or found.ip.is_unspecified or found.ip.is_multicast)
    ]


class _Found(NamedTuple):
    host: str
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address
    bridge: bool


def _all_addresses() -> list[_Found]:
    """Every address of every interface that is up. Raises OSError."""
    found: list[_Found] = []
    for adapter in ifaddr.get_adapters():
        bridge = str(adapter.nice_name).startswith(BRIDGE_NAMES)
        for entry in adapter.ips:
            literal, scope = (entry.ip, 0) if isinstance(entry.ip, str) else (entry.ip[0], entry.ip[2])
            ip = ipaddress.ip_address(literal.partition("%")[0])
            host = f"{ip}%{scope}" if scope and ip.is_link_local else str(ip)
            found.append(_Found(host, ip, bridge))
    return found
