"""The operating system's randomness, and KEM keys made ahead of need (PROTOCOL D2)."""

from __future__ import annotations

import os
from collections import deque

from p2p_agents.crypto.kem import SEED_BYTES, KemKey

POOL_KEYS = 32  # a key costs 0.2 ms to make; a burst of new links uses a few


class SystemEntropy:
    def __init__(self) -> None:
        self._pool: deque[KemKey] = deque()

    def draw(self, size: int) -> bytes:
        return os.urandom(size)

    def kem_key(self) -> KemKey:
        """From the pool, or made on the spot when it ran dry."""
        return self._pool.popleft() if self._pool else self._make()

    def refill(self) -> bool:
        """Make one key ahead; False when the pool is full."""
        if len(self._pool) >= POOL_KEYS:
            return False
        self._pool.append(self._make())
        return True

    def _make(self) -> KemKey:
        return KemKey.from_seed(self.draw(SEED_BYTES))
