"""Admission: token buckets, and the policy towards unknown peers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from p2p_agents.limits import (
    CONTROL_FRAME_BYTES,
    CONTROL_FRAMES_BURST,
    CONTROL_FRAMES_PER_S,
    KNOCKS_PER_MINUTE,
    LOG_BYTES_PER_WORK,
    REQUESTS_PENDING,
    REQUESTS_PER_MINUTE,
    REQUESTS_PER_MINUTE_NEAR,
    UNPROVEN_WORK,
)
from p2p_agents.wire.frame import (
    Credit,
    Data,
    Hello,
    Init,
    Node,
    Open,
    Pair,
    Presence,
    Request,
    Reset,
    Standing,
    Sync,
)
from p2p_agents.wire.framing import PREFIX_BYTES


@dataclass(slots=True)
class Bucket:
    """`burst` at once, `per_s` sustained. Time is seconds of any clock that does not go back."""

    burst: float
    per_s: float
    level: float = field(init=False)
    at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.level = self.burst

    def take(self, now: float, amount: float = 1.0) -> bool:
        """Whether `amount` more is admitted."""
        self.level = min(self.burst, self.level + max(0.0, now - self.at) * self.per_s)
        self.at = now
        if self.level < amount:
            return False
        self.level -= amount
        return True


@dataclass(slots=True)
class Gate:
    """Counts one connection's frames as their bytes arrive, before anything is queued or parsed: by number and size
    against its own allowance, and by the work they cost, until a contact is proven there, against what all such
    connections share. Beyond its own allowance what is of this machine draws on the same, and a contact on what all
    contacts share: crowds of agents that live on one node come in as fast as there is work for."""

    strangers: Bucket
    contacts: Bucket
    near: bool = False  # of this machine
    frames: Bucket = field(default_factory=lambda: Bucket(CONTROL_FRAMES_BURST, CONTROL_FRAMES_PER_S))
    proven: bool = False
    free: float = UNPROVEN_WORK
    _head: bytes = b""  # of the frame that begins
    _rest: int = 0  # bytes of the frame that is passing

    def passes(self, data: bytes, now: float) -> bool:
        """Whether the bytes may be passed on."""
        view = memoryview(data)
        while view:
            if self._rest:
                passed = min(self._rest, len(view))
                self._rest, view = self._rest - passed, view[passed:]
                continue
            lacking = HEAD_BYTES - len(self._head)
            self._head, view = self._head + bytes(view[:lacking]), view[lacking:]
            if len(self._head) == HEAD_BYTES:
                size, kind = int.from_bytes(self._head[:PREFIX_BYTES], "big"), self._head[-1]
                self._head, self._rest = b"", max(0, size - (HEAD_BYTES - PREFIX_BYTES))
                if not self._admits(kind, size, now):
                    return False
        return True

    def _admits(self, kind: int, size: int, now: float) -> bool:
        if self.proven and kind in CREDITED:
            return True  # its link's own credit counts it
        share = LIGHT_SHARE if kind in LIGHT else 1.0
        allowed = self.frames.take(now, share * (1 + size / CONTROL_FRAME_BYTES))
        if allowed and self.proven:
            return True
        if not (allowed or self.proven or self.near):
            return False
        work = WORK.get(kind, share if allowed else 1.0) + (size / LOG_BYTES_PER_WORK if kind in SHOWS_LOG else 0.0)
        if not allowed:
            work += size / CONTROL_FRAME_BYTES
        if self.proven:
            return self.contacts.take(now, work)
        self.free, beyond = max(0.0, self.free - work), max(0.0, work - self.free)
        return not beyond or self.strangers.take(now, beyond)


# Types as a frame's second byte shows them. DATA has credit of its own, CREDIT and PRESENCE cost next to nothing.
CREDITED = frozenset({Data.TYPE, Credit.TYPE})
LIGHT = CREDITED | {Presence.TYPE}
SHOWS_LOG = frozenset({Hello.TYPE, Pair.TYPE})  # whose size may be an identity log, to be verified
LIGHT_SHARE = 1 / 16  # what a frame counts that changes a number or two, or is for no link that is up
WORK: dict[int, float] = {  # in tenths of a millisecond: signatures verified and made, keys drawn and used
    Node.TYPE: 2,
    Open.TYPE: 12,
    Hello.TYPE: 8,
    Sync.TYPE: 16,
    Init.TYPE: 8,
    Reset.TYPE: 12,
    Request.TYPE: 16,
    Pair.TYPE: 12,
}
HEAD_BYTES = PREFIX_BYTES + 2  # a frame's length, the head of its array, and its type


class Policy(StrEnum):
    """How an agent treats a request of an unknown peer."""

    OPEN = "open"  # accept it
    ASK = "ask"  # keep it for the agent or its human to decide
    CLOSED = "closed"  # take none


class Introductions(StrEnum):
    """How an agent treats an introduction by a contact."""

    ASK = "ask"  # keep it for the agent or its human to decide
    ACCEPT = "accept"  # accept it, when the introducer is paired or verified; else ask
    IGNORE = "ignore"  # nothing


class Answer(StrEnum):
    """The decision on one request."""

    ACCEPT = "accept"
    KEEP = "keep"
    DROP = "drop"  # the sender offers it again later


def standing_of(policy: Policy, *, accepted: bool) -> Standing:
    """How an agent regards a peer that it has not blocked."""
    if accepted:
        return Standing.ACCEPTS
    return Standing.CLOSED if policy is Policy.CLOSED else Standing.ASK


class RequestDesk:
    """Decides on requests of unknown peers to one agent; its limits stop floods from one or many identities."""

    def __init__(self) -> None:
        self._all = Bucket(burst=REQUESTS_PER_MINUTE, per_s=REQUESTS_PER_MINUTE / 60)
        self._near = Bucket(burst=REQUESTS_PER_MINUTE_NEAR, per_s=REQUESTS_PER_MINUTE_NEAR / 60)
        self._knocks = Bucket(burst=KNOCKS_PER_MINUTE, per_s=KNOCKS_PER_MINUTE / 60)

    def hears(self, now: float) -> bool:
        """Whether to look at one more request from a bridge; before that, nobody knows who sent it."""
        return self._knocks.take(now)

    def decide(self, policy: Policy, *, pending: int, known: bool, now: float, near: bool = False) -> Answer:
        """`known`: a request of this peer is kept already and is only renewed. `near`: it came from this machine, or
        from a node where a contact lives."""
        if policy is Policy.CLOSED:
            return Answer.DROP
        if known:
            return Answer.KEEP
        of_crowd = near and pending < REQUESTS_PENDING // 2 and self._near.take(now)  # the rest is for everybody
        if not (of_crowd or self._all.take(now)):
            return Answer.DROP
        return Answer.ACCEPT if policy is Policy.OPEN else Answer.KEEP
