"""Random bytes as the decider asks for them: the shell, or a seeded test, draws them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from p2p_agents.crypto.kem import KemKey


class Entropy(Protocol):
    def draw(self, size: int) -> bytes:
        """That many random bytes."""
        ...

    def kem_key(self) -> KemKey:
        """A new key for one use; where it can, made ahead of need (PROTOCOL D2)."""
        ...

    def refill(self) -> bool:
        """Make one key ahead; False when there are enough."""
        ...
