"""The source of randomness of this ring: its caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from p2p_agents.crypto.kem import KemKey


class Entropy(Protocol):
    """A source of secrets. It may never return the same one twice."""

    def draw(self, size: int) -> bytes:
        """`size` fresh bytes of a cryptographic generator."""
        ...

    def kem_key(self) -> KemKey:
        """A fresh key pair, possibly made ahead of need (PROTOCOL D2)."""
        ...
