"""The conversation of two agents."""

from __future__ import annotations

from functools import lru_cache

from p2p_agents.crypto.digest import H


@lru_cache(maxsize=4096)
def direct_id(a: bytes, b: bytes) -> bytes:
    """Its id, the same from both sides: H("p2pa/1 dm", sorted agent ids)."""
    return H("p2pa/1 dm", *sorted((a, b)))
