"""Pairing codes shown or tried here. They are kept in memory only: a restart of the node ends them."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from p2p_agents.errors import CodeDead, CodePurpose, CodeUsed, CodeWrong, PairFailed
from p2p_agents.limits import PAIRING_CODE_MS, PAIRING_PLACES, PAIRING_WRONG
from p2p_agents.link.admission import Bucket
from p2p_agents.wire.pairing import Purpose, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from p2p_agents.crypto.codes import Code
    from p2p_agents.crypto.oob import Invitation
    from p2p_agents.errors import P2PError
    from p2p_agents.link.displaying import Displayer
    from p2p_agents.link.joining import Joiner

ANNOUNCE_BURST, ANNOUNCE_PER_S = 8, 1  # NODE frames count against a limit of the peer, and codes come and go
HERE = -1  # stands for the connection between two agents of this node, which have none


class CodeState(StrEnum):
    """The state of a shown code."""

    WAITING = "waiting"
    PAIRED = "paired"
    DEAD = "dead"  # too many wrong guesses, or the exchange broke off after the right words
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class WrongTry:
    """Somebody typed other words; `origin` is an address, for a human, and `left` the remaining tries."""

    time_ms: int
    origin: str
    left: int


@dataclass(slots=True)
class Display:
    """One shown code: words to type and a picture to scan; using either ends the other."""

    id: str
    agent: int
    code: Code
    invitation: Invitation
    petname: str | None
    machines: dict[str, Displayer]  # by place
    ends_ms: int
    prepared: tuple[bytes, ...] = ()  # queues of ours, for the peer that comes
    purpose: Purpose = Purpose.CONTACT
    since_ms: int = 0  # conversations since then are given to a linked device
    shown_entries: int = 0  # of the identity log, to the peer that comes
    state: CodeState = CodeState.WAITING
    tries: int = PAIRING_WRONG  # wrong tags until it is dead
    wrong: list[WrongTry] = field(default_factory=list)  # three at most for each of the two ways
    peer: bytes = b""
    device: bytes = b""  # of the peer


@dataclass(slots=True)
class Join:
    """One attempt with somebody else's code, with every possible responder."""

    id: str
    agent: int
    place: str
    petname: str | None
    machine: Joiner
    dialled: tuple[str, ...]  # addresses in the scanned code
    begun: float  # monotonic time
    prepared: tuple[bytes, ...] = ()  # queues of ours, for the other side
    purpose: Purpose = Purpose.CONTACT
    asked: dict[bytes, int] = field(default_factory=dict)  # node -> the connection it was last asked on
    over: bool = False
    peer: bytes = b""
    error: P2PError | None = None  # the most informative one so far


@dataclass(frozen=True, slots=True)
class Run:
    """One exchange with one peer. `number` is ours; `theirs` is the joiner's, which frames carry."""

    number: int
    connection: int
    theirs: int
    owner: Display | Join
    machine: Displayer | Joiner


@dataclass(frozen=True, slots=True)
class Seat:
    """Our side of a meeting place at every bridge."""

    displayer: bool
    token: bytes = field(repr=False)


@dataclass(slots=True)
class Desk:
    """All of the core's state for pairing."""

    displays: dict[str, Display] = field(default_factory=dict)  # oldest first
    joins: dict[str, Join] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    asked: dict[tuple[int, int], Run] = field(default_factory=dict)  # of displays, by (connection, the joiner's number)
    here: deque[tuple[int, bool, bytes]] = field(default_factory=deque)  # HERE: (run, from the joiner, message)
    seats: dict[str, Seat] = field(default_factory=dict)  # by place
    lines: dict[tuple[str, str], int] = field(default_factory=dict)  # by (bridge, place), if the other side is there
    announcements: Bucket = field(default_factory=lambda: Bucket(ANNOUNCE_BURST, ANNOUNCE_PER_S))
    stale: bool = False  # NODE named other places than the present ones
    fallen: bool = False  # a batch failed and ended codes: callers that wait should look
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def shown(self) -> list[Display]:
        return [display for display in self.displays.values() if display.state is CodeState.WAITING]

    def places(self, now_ms: int) -> list[str]:
        """The meeting places of codes, and of some that ended recently, so that a late peer gets an answer at once."""
        ended = [it for it in reversed(self.displays.values()) if it.state is not CodeState.WAITING]
        told = [it for it in ended if now_ms < it.ends_ms + PAIRING_CODE_MS]
        return [place for display in (*self.shown(), *told) for place in display.machines][:PAIRING_PLACES]

    def shown_at(self, place: str) -> Display | None:
        """Our code that is met there now."""
        return next((display for display in self.shown() if place in display.machines), None)

    def at(self, place: str) -> Display | None:
        """The code that is or was met there."""
        return next((display for display in self.displays.values() if place in display.machines), None)

    def trying(self) -> list[Join]:
        return [join for join in self.joins.values() if not join.over]

    def running(self, join: Join) -> bool:
        return any(run.owner is join for run in self.runs.values())


def error_of(reason: Reason) -> P2PError:
    """Why a run ended, as told to the person who typed the code."""
    if reason is Reason.IDENTITY:
        return PairFailed("one side could not save the other")
    return _ENDED.get(reason, PairFailed)()


_ENDED: dict[Reason, type[P2PError]] = {
    Reason.WRONG: CodeWrong,
    Reason.TAKEN: CodeUsed,
    Reason.DEAD: CodeDead,
    Reason.PURPOSE: CodePurpose,
}
