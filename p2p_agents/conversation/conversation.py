"""Conversations: every entry belongs to one, and a link carries those that both its ends are members of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """An id that both sides know, the kind that determines its rules, and its members."""

    id: bytes
    kind: str
    members: frozenset[bytes]  # agent ids

    def others(self, agent: bytes) -> list[bytes]:
        """The other members; empty for one that is alone."""
        return sorted(self.members - {agent})
