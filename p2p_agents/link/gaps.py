"""Frames that came early, kept as ciphertext until those before them have come (PROTOCOL B5).

Several candidates may be kept for one position: only the ratchet can tell which of them is real, so a forgery must
not displace another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.limits import GAP_BYTES, GAP_CANDIDATES, GAP_FRAMES

if TYPE_CHECKING:
    from p2p_agents.crypto.ratchet import Frame


class GapBuffer:
    """Early frames of one session, bounded in positions, candidates and bytes; a frame beyond a bound is dropped."""

    def __init__(self) -> None:
        self._slots: dict[tuple[int, int], list[Frame]] = {}
        self._bytes = 0

    @property
    def size(self) -> int:
        """Bytes kept."""
        return self._bytes

    def keep(self, frame: Frame) -> bool:
        """Whether it was kept; a dropped frame is sent again."""
        slot = self._slots.get((frame.turn, frame.n), [])
        if any(held.digest == frame.digest for held in slot):
            return True
        if len(slot) >= GAP_CANDIDATES or self._bytes + frame.size > GAP_BYTES:
            return False
        if not slot and len(self._slots) >= GAP_FRAMES:
            return False
        self._slots[frame.turn, frame.n] = [*slot, frame]
        self._bytes += frame.size
        return True

    def take(self, positions: tuple[tuple[int, int], ...]) -> list[Frame]:
        """The candidates for any of `positions`, removed, and with them all before the first: those were opened."""
        found = [frame for position in positions for frame in self._slots.pop(position, [])]
        passed = [frame for slot in list(self._slots) if slot < positions[0] for frame in self._slots.pop(slot)]
        self._bytes -= sum(frame.size for frame in (*found, *passed))
        return found

    def __len__(self) -> int:
        return len(self._slots)
