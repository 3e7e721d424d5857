"""This machine's clocks and randomness, for the decider."""

from __future__ import annotations

import os
import time
from collections import deque

from p2p_agents.crypto.kem import SEED_BYTES, KemKey

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class SystemClock:
    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

    def boot_id(self) -> str:
        try:
            with open(BOOT_ID, encoding="ascii") as file:
                return file.read().strip()
        except OSError:
            return ""


POOL_KEYS = 32  # a key costs 0.2 ms to make; a burst of new links uses a few


class SystemEntropy:
    def __init__(self) -> None:
        self._pool: deque[KemKey] = deque()

    def draw(self, size: int) -> bytes:
        return os.urandom(size)

    def kem_key(self) -> KemKey:
        """From the pool; made on the spot if the pool is empty."""
        return self._pool.popleft() if self._pool else self._make()

    def refill(self) -> bool:
        """Make one key ahead; False if the pool is full."""
        if len(self._pool) >= POOL_KEYS:
            return False
        self._pool.append(self._make())
        return True

    def _make(self) -> KemKey:
        return KemKey.from_seed(self.draw(SEED_BYTES))
