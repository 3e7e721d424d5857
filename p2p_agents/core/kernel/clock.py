"""Wall time for people, monotonic time for waiting, the time this node saw pass for what is given up after days, and
whether the wall clock may be believed (PROTOCOL B12)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from p2p_agents.limits import CLOCK_JUMP_MS, CLOCK_TRUST_S, DATE_MS_MAX
from p2p_agents.store.lived import Mark

EPOCH = datetime.fromtimestamp(0, UTC)


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

    def boot_id(self) -> str:
        """Which start of the machine `boot` counts from; empty where the system does not say."""
        ...


class Lived:
    """Counts the time that passes while the machine is on, over all runs of this node: awake or asleep, and between
    two runs where it was not switched off. What the wall clock does changes nothing, so no jump makes things old."""

    def __init__(self, clock: Clock, mark: Mark) -> None:
        self._clock = clock
        since_ms = clock.boot() * 1000 - mark.boot_ms if _same_boot(clock, mark) else 0.0
        self._base_ms = mark.lived_ms + since_ms - clock.boot() * 1000

    def now_ms(self) -> int:
        return int(self._base_ms + self._clock.boot() * 1000)

    def mark(self) -> Mark:
        """To be kept for the next run."""
        clock = self._clock
        return Mark(self.now_ms(), clock.boot_id(), int(clock.boot() * 1000), clock.wall_ms())


def _same_boot(clock: Clock, mark: Mark) -> bool:
    return bool(mark.boot) and mark.boot == clock.boot_id() and mark.boot_ms <= clock.boot() * 1000


class Trusted:
    """Watches the wall clock against the boot clock, over restarts too. After an unexplained jump, or a time in which
    the machine was off, keys are not destroyed until ten minutes have passed or a peer's clock agrees."""

    def __init__(self, clock: Clock, mark: Mark) -> None:
        self._clock = clock
        same = _same_boot(clock, mark)
        self._offset_ms = mark.wall_ms - mark.boot_ms if same else self._difference()
        self._doubt_until = None if same or not mark.wall_ms else clock.boot() + CLOCK_TRUST_S
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


def time_text(ms: int) -> str:
    """RFC 3339 in UTC, to the millisecond. What no calendar has a date for, an old store may hold: the nearest one."""
    dated = min(max(ms, 0), DATE_MS_MAX)
    return (EPOCH + timedelta(milliseconds=dated)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
