"""The delivery state of a message to one device of its recipient, and which state may follow which.

    queued ──► relayed ──► delivered ──► read
       │           │           ▲
       └──► failed ┴───────────┘        an unconfirmed one may turn out delivered after all

A queued message that waits for its recipient to accept us is shown as `asked`: only that person decides.

`delivered` and `read` fall back to `queued` when the peer proves that it no longer holds the entry (PROTOCOL B1).
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class State(StrEnum):
    QUEUED = "queued"
    RELAYED = "relayed"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"

    @classmethod
    def nearest(cls, word: str) -> State:
        """The stored word, even if the disk changed a letter; QUEUED if it is like none of them."""
        alike = [state for state in cls if len(state) == len(word)]
        return min(alike, key=lambda s: sum(a != b for a, b in zip(s, word, strict=True)), default=cls.QUEUED)


ASKED = "asked"  # how a queued message is shown if its recipient has yet to accept us

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RELAYED, State.DELIVERED, State.FAILED}),
    State.RELAYED: frozenset({State.QUEUED, State.DELIVERED, State.FAILED}),
    State.DELIVERED: frozenset({State.READ, State.QUEUED}),
    State.READ: frozenset({State.QUEUED}),
    State.FAILED: frozenset({State.DELIVERED}),
}

_RANK = {State.FAILED: 0, State.QUEUED: 1, State.RELAYED: 2, State.DELIVERED: 3, State.READ: 4}


def leading_to(new: State) -> list[State]:
    """The states that a delivery may be in before it comes to be in `new`."""
    return [old for old, following in MOVES.items() if new in following]


def best(states: Iterable[State]) -> State:
    """How far a message came with one recipient: the best over its devices (PROTOCOL B9)."""
    return max(states, key=_RANK.__getitem__, default=State.QUEUED)


def least(states: Iterable[State]) -> State:
    """How far it came with all of several recipients."""
    return min(states, key=_RANK.__getitem__, default=State.QUEUED)


def folded(reached: Iterable[tuple[bytes, State]]) -> dict[bytes, State]:
    """How far it came with each recipient, from (recipient, state) of each device."""
    found: dict[bytes, State] = {}
    for recipient, state in reached:
        found[recipient] = best((state, found.get(recipient, state)))
    return found
