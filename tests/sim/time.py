"""Virtual time: one queue of future events, and a clock for each node."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

EPOCH_MS = 1_800_000_000_000


class Time:
    """`now` is seconds since the world began."""

    def __init__(self) -> None:
        self.now = 0.0
        self._order = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None], bool]] = []
        self.busy = 0  # events that are no routine

    def at(self, when: float, action: Callable[[], None], *, routine: bool = False) -> None:
        """`routine` events come for ever and do not count as something going on."""
        self.busy += not routine
        heapq.heappush(self._queue, (max(when, self.now), next(self._order), action, routine))

    def step(self, end: float) -> bool:
        """Do the next thing that happens before `end`; False when there is none."""
        if not self._queue or self._queue[0][0] > end:
            return False
        when, _, action, routine = heapq.heappop(self._queue)
        self.busy -= not routine
        self.now = max(self.now, when)
        action()
        return True

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.step(end):
            pass
        self.now = end


class Clock:
    """One machine's clocks over the world's time. The wall may be wrong; sleep stops the monotonic one."""

    def __init__(self, time: Time) -> None:
        self._time = time
        self.wall_offset_ms = 0
        self.slept_s = 0.0
        self.boots = 0
        self._booted_at = 0.0

    def wall_ms(self) -> int:
        return EPOCH_MS + int(self._time.now * 1000) + self.wall_offset_ms

    def monotonic(self) -> float:
        return self._time.now - self.slept_s

    def boot(self) -> float:
        return self._time.now - self._booted_at

    def boot_id(self) -> str:
        return f"boot {self.boots}"

    def reboots(self, off_s: float) -> None:
        """The machine was switched off for so long, and its clocks begin anew."""
        self._time.now += off_s
        self.boots, self._booted_at, self.slept_s = self.boots + 1, self._time.now, 0.0
