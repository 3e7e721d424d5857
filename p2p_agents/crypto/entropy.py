"""Where this ring gets its randomness: from whoever calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from p2p_agents.crypto.kem import KemKey


class Entropy(Protocol):
    """A source of secrets. Nothing it gives may ever be given twice."""

    def draw(self, size: int) -> bytes:
        """`size` fresh bytes of a cryptographic generator."""
        ...

    def kem_key(self) -> KemKey:
        """A fresh key pair, possibly made ahead of need (PROTOCOL D2)."""
        ...
