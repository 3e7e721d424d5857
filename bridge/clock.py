"""The wall clock, and whether it can be trusted to expire somebody's blobs."""

from __future__ import annotations

import time

from p2p_agents.limits import CLOCK_JUMP_MS, CLOCK_TRUST_S


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class ClockTrust:
    """Expiry waits ten minutes after the start, and after a jump: a machine may wake in another year (PROTOCOL B12)."""

    __slots__ = ("_ahead_ms", "_from")

    def __init__(self, wall_ms: int, steady_s: float) -> None:
        self._ahead_ms = wall_ms - steady_s * 1_000
        self._from = steady_s + CLOCK_TRUST_S

    def trusts(self, wall_ms: int, steady_s: float) -> bool:
        """Whether data may expire by this wall clock; `steady_s` is a clock that does not jump."""
        ahead_ms = wall_ms - steady_s * 1_000
        if abs(ahead_ms - self._ahead_ms) > CLOCK_JUMP_MS:
            self._from = steady_s + CLOCK_TRUST_S
        self._ahead_ms = ahead_ms
        return steady_s >= self._from
