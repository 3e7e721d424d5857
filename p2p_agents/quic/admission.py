"""Who may open a connection: bounds on all, on one host, and on the pace of handshakes."""

from __future__ import annotations

import ipaddress
from collections import Counter
from dataclasses import dataclass

from p2p_agents.limits import CONNECTIONS, CONNECTIONS_PER_ADDRESS, HANDSHAKES_PER_S


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an endpoint accepts; the defaults are a node's."""

    connections: int = CONNECTIONS
    per_address: int = CONNECTIONS_PER_ADDRESS  # loopback is exempt: one machine may host many nodes
    handshakes_per_s: int = HANDSHAKES_PER_S

    def __post_init__(self) -> None:
        if min(self.connections, self.per_address, self.handshakes_per_s) < 1:
            raise ValueError("every bound is at least 1")


class Admission:
    """Counts accepted connections and spends a token bucket, one second deep, on their handshakes."""

    __slots__ = ("_at", "_bounds", "_hosts", "_tokens", "_total")

    def __init__(self, bounds: Bounds, now: float) -> None:
        self._bounds = bounds
        self._tokens = float(bounds.handshakes_per_s)
        self._at = now
        self._hosts: Counter[str] = Counter()
        self._total = 0

    def admit(self, host: str, now: float) -> bool:
        """Whether one more connection from `host` may open; True counts it."""
        full = self._total >= self._bounds.connections
        crowded = self._hosts[host] >= self._bounds.per_address and not ipaddress.ip_address(host).is_loopback
        if full or crowded or not self._spend(now):
            if not self._hosts[host]:
                del self._hosts[host]
            return False
        self._hosts[host] += 1
        self._total += 1
        return True

    def release(self, host: str) -> None:
        """A connection admitted for `host` ended."""
        self._total -= 1
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    def _spend(self, now: float) -> bool:
        rate = self._bounds.handshakes_per_s
        self._tokens = min(float(rate), self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
