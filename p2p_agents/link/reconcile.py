"""Comparing two views of one session: go on, or give it up, and why (PROTOCOL B1, B5, D3).

The views come in authenticated SYNCs. A store that was rolled back shows itself here, on whichever side it happened:
counts that went backwards, or two histories under one count.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2p_agents.wire.claims import SessionView


class Outcome(Enum):
    GO_ON = "both sides tell one story"
    UNBORN = "the init never arrived"
    PEER_FORGOT = "the peer lost a session it had"
    PEER_ROLLED_BACK = "the peer's store was rolled back"
    I_ROLLED_BACK = "this store was rolled back"
    PARTED = "two different histories"

    @property
    def rollback(self) -> bool:
        return self in (Outcome.PEER_FORGOT, Outcome.PEER_ROLLED_BACK, Outcome.I_ROLLED_BACK, Outcome.PARTED)


@dataclass(frozen=True, slots=True)
class MyView:
    """My side of a session. `hash_at_peers_count` is H over the frames the peer says it received, or None when I
    cannot know it any more (an acknowledged past) or not yet (a future)."""

    confirmed: bool
    sent: int
    acked: int
    received: int
    hash_at_peers_count: bytes | None


def compare(mine: MyView, theirs: SessionView | None) -> Outcome:
    if theirs is None:
        return Outcome.PEER_FORGOT if mine.confirmed else Outcome.UNBORN
    if theirs.received > mine.sent:
        return Outcome.I_ROLLED_BACK
    if theirs.received < mine.acked or theirs.sent < mine.received:
        return Outcome.PEER_ROLLED_BACK
    if mine.hash_at_peers_count is None or mine.hash_at_peers_count != theirs.received_hash:
        return Outcome.PARTED
    return Outcome.GO_ON


def common_heal(mine: tuple[int, ...], theirs: tuple[int, ...]) -> int | None:
    """The id of the newest secret that both still hold, to be mixed into the next session; None if there is none."""
    return next((each for each in reversed(mine) if each in theirs), None)
