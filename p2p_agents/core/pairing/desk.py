"""Pairing codes that are shown or tried here, in memory alone: a restart of the node ends them."""

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

ANNOUNCE_BURST, ANNOUNCE_PER_S = 8, 1  # NODE frames draw on the peer's patience, and codes come and go
HERE = -1  # the connection between two agents of this node, which is none


class CodeState(StrEnum):
    """What has become of a code that is shown."""

    WAITING = "waiting"
    PAIRED = "paired"
    DEAD = "dead"  # guessed at too often, or the exchange broke off after the right words
    EXPIRED = "expired"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class WrongTry:
    """Somebody held other words; `origin` is an address, for a human, and `left` the tries that remained."""

    time_ms: int
    origin: str
    left: int


@dataclass(slots=True)
class Display:
    """One code on show: words to type and a picture to scan, of which whatever is taken first ends the other."""

    id: str
    agent: int
    code: Code
    invitation: Invitation
    petname: str | None
    machines: dict[str, Displayer]  # by place
    ends_ms: int
    prepared: tuple[bytes, ...] = ()  # queues of ours, for whoever comes
    purpose: Purpose = Purpose.CONTACT
    since_ms: int = 0  # from when on a linked device is given conversations
    shown_entries: int = 0  # of the identity log, to whoever comes
    state: CodeState = CodeState.WAITING
    tries: int = PAIRING_WRONG  # wrong tags until it is dead
    wrong: list[WrongTry] = field(default_factory=list)  # three at most for each of the two ways
    peer: bytes = b""
    device: bytes = b""  # of the peer


@dataclass(slots=True)
class Join:
    """One attempt with somebody else's code, over every responder there is."""

    id: str
    agent: int
    place: str
    petname: str | None
    machine: Joiner
    dialled: tuple[str, ...]  # addresses that the scanned code named
    begun: float  # by the monotonic clock
    prepared: tuple[bytes, ...] = ()  # queues of ours, for the other side
    purpose: Purpose = Purpose.CONTACT
    asked: dict[bytes, int] = field(default_factory=dict)  # node -> the connection it was last asked on
    over: bool = False
    peer: bytes = b""
    error: P2PError | None = None  # the most telling one so far


@dataclass(frozen=True, slots=True)
class Run:
    """One exchange with one peer. `number` is ours, `theirs` the one that frames carry: the joiner's."""

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
    """Everything about pairing that the core remembers."""

    displays: dict[str, Display] = field(default_factory=dict)  # oldest first
    joins: dict[str, Join] = field(default_factory=dict)
    runs: dict[int, Run] = field(default_factory=dict)
    asked: dict[tuple[int, int], Run] = field(default_factory=dict)  # of displays, by (connection, the joiner's number)
    here: deque[tuple[int, bool, bytes]] = field(default_factory=deque)  # (run, of the joiner, message) under way HERE
    seats: dict[str, Seat] = field(default_factory=dict)  # by place
    lines: dict[tuple[str, str], int] = field(default_factory=dict)  # (bridge, place), where the other side was heard
    announcements: Bucket = field(default_factory=lambda: Bucket(ANNOUNCE_BURST, ANNOUNCE_PER_S))
    stale: bool = False  # NODE told other places than there are
    fallen: bool = False  # a batch failed and took something with it: who waits is to look
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def shown(self) -> list[Display]:
        return [display for display in self.displays.values() if display.state is CodeState.WAITING]

    def places(self, now_ms: int) -> list[str]:
        """Where codes are met, and where some that ended a while ago were: who comes late is answered at once."""
        ended = [it for it in reversed(self.displays.values()) if it.state is not CodeState.WAITING]
        told = [it for it in ended if now_ms < it.ends_ms + PAIRING_CODE_MS]
        return [place for display in (*self.shown(), *told) for place in display.machines][:PAIRING_PLACES]

    def shown_at(self, place: str) -> Display | None:
        """The code of ours that is met there now."""
        return next((display for display in self.shown() if place in display.machines), None)

    def at(self, place: str) -> Display | None:
        """The code that is met there, or was."""
        return next((display for display in self.displays.values() if place in display.machines), None)

    def trying(self) -> list[Join]:
        return [join for join in self.joins.values() if not join.over]

    def running(self, join: Join) -> bool:
        return any(run.owner is join for run in self.runs.values())


def error_of(reason: Reason) -> P2PError:
    """Why a run ended, as the one who typed the code is told."""
    if reason is Reason.IDENTITY:
        return PairFailed("one side could not save the other")
    return _ENDED.get(reason, PairFailed)()


_ENDED: dict[Reason, type[P2PError]] = {
    Reason.WRONG: CodeWrong,
    Reason.TAKEN: CodeUsed,
    Reason.DEAD: CodeDead,
    Reason.PURPOSE: CodePurpose,
}
