"""Credit per link, because QUIC offers no backpressure here: DATA bytes a sender may have sent in all (PROTOCOL C1).

The receiver grants after it has committed, from a pool of the whole node; the sender never exceeds its grant,
nor what it may leave unacknowledged.
"""

from __future__ import annotations

from dataclasses import dataclass

from p2p_agents.errors import Flood
from p2p_agents.limits import CREDIT_POOL_BYTES, LINK_CREDIT_BYTES, LINK_CREDIT_LEAST_BYTES


@dataclass(slots=True)
class Allowance:
    """The sending side of one link."""

    granted: int = 0
    sent: int = 0

    def grant(self, total: int) -> None:
        """A grant is never taken back; a smaller one that comes late changes nothing."""
        self.granted = max(self.granted, total)

    @property
    def left(self) -> int:
        return max(0, self.granted - self.sent)


@dataclass(slots=True)
class Meter:
    """The receiving side of one link."""

    window: int = LINK_CREDIT_BYTES
    granted: int = 0
    consumed: int = 0

    def take(self, size: int) -> None:
        """Raises Flood when the peer sent more than it was granted."""
        self.consumed += size
        if self.consumed > self.granted:
            raise Flood(f"{self.consumed} bytes came on a link that was granted {self.granted}")

    def renew(self) -> int | None:
        """The new total to grant, once half the window is used; else None. Call it after the commit."""
        if self.granted - self.consumed > self.window // 2:
            return None
        self.granted = self.consumed + self.window
        return self.granted


def window_for(links: int) -> int:
    """One link's share of the node's pool: all of LINK_CREDIT_BYTES until the pool is divided among many.

    Never so little that the largest frame (SESSION_FRAME_BYTES) waits for credit that is renewed only when half of it
    is used.
    """
    return max(LINK_CREDIT_LEAST_BYTES, min(LINK_CREDIT_BYTES, CREDIT_POOL_BYTES // max(1, links)))
