"""How much of something is let in: token buckets, and the policy towards unknown peers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from p2p_agents.limits import KNOCKS_PER_MINUTE, REQUESTS_PENDING, REQUESTS_PER_MINUTE
from p2p_agents.wire.frame import Standing


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


class Policy(StrEnum):
    """What an agent does with a request of an unknown peer."""

    OPEN = "open"  # accept it
    ASK = "ask"  # keep it for the agent or its human to decide
    CLOSED = "closed"  # take none


class Introductions(StrEnum):
    """What an agent does when a contact introduces somebody."""

    ASK = "ask"  # keep it for the agent or its human to decide
    ACCEPT = "accept"  # accept it, when the introducer is paired or verified; else ask
    IGNORE = "ignore"  # nothing


class Answer(StrEnum):
    """What becomes of one request."""

    ACCEPT = "accept"
    KEEP = "keep"
    DROP = "drop"  # the sender offers it again later


def standing_of(policy: Policy, *, accepted: bool) -> Standing:
    """How an agent regards a peer it has not blocked."""
    if accepted:
        return Standing.ACCEPTS
    return Standing.CLOSED if policy is Policy.CLOSED else Standing.ASK


class RequestDesk:
    """Decides on requests of unknown peers to one agent; floods from one or many identities end at its bounds."""

    def __init__(self) -> None:
        self._all = Bucket(burst=REQUESTS_PER_MINUTE, per_s=REQUESTS_PER_MINUTE / 60)
        self._knocks = Bucket(burst=KNOCKS_PER_MINUTE, per_s=KNOCKS_PER_MINUTE / 60)

    def hears(self, now: float) -> bool:
        """Whether one more that came over a bridge is looked at: who it is of, nobody knows before."""
        return self._knocks.take(now)

    def decide(self, policy: Policy, *, pending: int, known: bool, now: float) -> Answer:
        """`known`: a request of this peer is kept already and is only renewed."""
        if policy is Policy.CLOSED:
            return Answer.DROP
        if known:
            return Answer.KEEP
        if not self._all.take(now) or pending >= REQUESTS_PENDING:
            return Answer.DROP
        return Answer.ACCEPT if policy is Policy.OPEN else Answer.KEEP
