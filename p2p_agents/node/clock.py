"""Wall time for people, monotonic time for waiting, and whether the wall clock may be believed (PROTOCOL B12)."""

from __future__ import annotations

import time
from typing import Protocol

from p2p_agents.limits import CLOCK_JUMP_MS, CLOCK_TRUST_S


class Clock(Protocol):
    def wall_ms(self) -> int:
        """Milliseconds since 1970, as this machine believes."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def boot(self) -> float:
        """Seconds that never go back and count sleep."""
        ...


class SystemClock:
    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Trusted:
    """Watches the wall clock against the boot clock. After an unexplained jump, destructive expiry waits until ten
    minutes have passed or a peer's clock agrees."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset_ms = self._difference()
        self._doubt_until: float | None = None
        self._asleep = clock.boot() - clock.monotonic()

    def _difference(self) -> float:
        return self._clock.wall_ms() - self._clock.boot() * 1000

    def look(self) -> bool:
        """Whether the wall clock may be believed now."""
        offset = self._difference()
        now = self._clock.boot()
        if abs(offset - self._offset_ms) > CLOCK_JUMP_MS:
            self._doubt_until = now + CLOCK_TRUST_S
        self._offset_ms = offset
        if self._doubt_until is not None and now >= self._doubt_until:
            self._doubt_until = None
        return self._doubt_until is None

    def confirm(self, peer_ms: int) -> None:
        """A peer told its time over an authenticated link."""
        if abs(peer_ms - self._clock.wall_ms()) <= CLOCK_JUMP_MS:
            self._doubt_until = None

    def slept(self) -> bool:
        """Whether the machine slept since the last look."""
        asleep = self._clock.boot() - self._clock.monotonic()
        slept = asleep - self._asleep > 1.0
        self._asleep = asleep
        return slept
