"""Random bytes for the decider; drawn by the shell, or by a seeded test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from p2p_agents.crypto.kem import KemKey


class Entropy(Protocol):
    def draw(self, size: int) -> bytes:
        """That many random bytes."""
        ...

    def kem_key(self) -> KemKey:
        """A new single-use key, made ahead of need if possible (PROTOCOL D2)."""
        ...

    def refill(self) -> bool:
        """Make one key ahead; False if there are enough."""
        ...
