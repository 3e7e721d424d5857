"""The conversation of two agents, or of one agent's own devices."""

from __future__ import annotations

from functools import lru_cache

from p2p_agents.conversation.conversation import Conversation
from p2p_agents.crypto.digest import H

DIRECT = "direct"  # its kind


@lru_cache(maxsize=4096)
def direct(a: bytes, b: bytes) -> Conversation:
    """The same from both sides: its id is H("p2pa/1 dm", sorted agent ids)."""
    return Conversation(H("p2pa/1 dm", *sorted((a, b))), DIRECT, frozenset((a, b)))
