"""Who talks with whom: every entry belongs to one conversation, and a link carries those that both its ends are in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """An id that both sides know, the kind that says by which rules it goes, and its agents."""

    id: bytes
    kind: str
    members: frozenset[bytes]  # agent ids

    def others(self, agent: bytes) -> list[bytes]:
        """Whom one of the members speaks to; nobody, where it is alone."""
        return sorted(self.members - {agent})
