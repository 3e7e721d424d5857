"""Wall time for people, monotonic time for waiting, the time that this node saw pass (for what expires after days), and
whether the wall clock can be trusted (PROTOCOL B12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from p2p_agents.limits import CLOCK_JUMP_MS, CLOCK_TRUST_S, DATE_MS_MAX
from p2p_agents.store.lived import Mark

EPOCH = datetime.fromtimestamp(0, UTC)


class Clock(Protocol):
    def wall_ms(self) -> int:
        """Milliseconds since 1970, by this machine's clock."""
        ...

    def monotonic(self) -> float:
        """Seconds; never goes back."""
        ...

    def boot(self) -> float:
        """Seconds; never goes back, and counts sleep."""
        ...

    def boot_id(self) -> str:
        """The boot of the machine that `boot` counts from; empty if the system does not say."""
        ...


class Lived:
    """Counts the time that the machine is on, over all runs of this node: awake or asleep, and between two runs unless
    it was switched off. It does not depend on the wall clock, so no clock jump makes anything expire."""

    def __init__(self, clock: Clock, mark: Mark) -> None:
        self._clock = clock
        since_ms = clock.boot() * 1000 - mark.boot_ms if _same_boot(clock, mark) else 0.0
        self._base_ms = mark.lived_ms + since_ms - clock.boot() * 1000

    def now_ms(self) -> int:
        return int(self._base_ms + self._clock.boot() * 1000)

    def mark(self) -> Mark:
        """Stored for the next run."""
        clock = self._clock
        return Mark(self.now_ms(), clock.boot_id(), int(clock.boot() * 1000), clock.wall_ms())


def _same_boot(clock: Clock, mark: Mark) -> bool:
    return bool(mark.boot) and mark.boot == clock.boot_id() and mark.boot_ms <= clock.boot() * 1000


class Trusted:
    """Compares the wall clock with the boot clock, across restarts too. After an unexplained jump, or after the machine
    was off, keys are not destroyed until ten minutes have passed or a peer's clock agrees."""

    def __init__(self, clock: Clock, mark: Mark) -> None:
        self._clock = clock
        same = _same_boot(clock, mark)
        self._offset_ms = mark.wall_ms - mark.boot_ms if same else self._difference()
        self._doubt_until = None if same or not mark.wall_ms else clock.boot() + CLOCK_TRUST_S
        self._asleep = clock.boot() - clock.monotonic()

    def _difference(self) -> float:
        return self._clock.wall_ms() - self._clock.boot() * 1000

    def look(self) -> bool:
        """Whether the wall clock can be trusted now."""
        offset = self._difference()
        now = self._clock.boot()
        if abs(offset - self._offset_ms) > CLOCK_JUMP_MS:
            self._doubt_until = now + CLOCK_TRUST_S
        self._offset_ms = offset
        if self._doubt_until is not None and now >= self._doubt_until:
            self._doubt_until = None
        return self._doubt_until is None

    def confirm(self, peer_ms: int) -> None:
        """A peer sent its time over an authenticated link."""
        if abs(peer_ms - self._clock.wall_ms()) <= CLOCK_JUMP_MS:
            self._doubt_until = None

    def slept(self) -> bool:
        """Whether the machine slept since the last look."""
        asleep = self._clock.boot() - self._clock.monotonic()
        slept = asleep - self._asleep > 1.0
        self._asleep = asleep
        return slept


def time_text(ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond. A time beyond the calendar, which an old store may hold, gives the nearest
    date."""
    dated = min(max(ms, 0), DATE_MS_MAX)
    return (EPOCH + timedelta(milliseconds=dated)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
