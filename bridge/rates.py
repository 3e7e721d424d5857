"""How fast a client may be: token buckets, of one connection and of one network."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from bridge import bounds
from bridge.bounds import Pace

if TYPE_CHECKING:
    from bridge.bounds import Quotas


class Bucket:
    """Fills at its pace. What is larger than the whole bucket passes when it is full, and leaves a debt."""

    __slots__ = ("_at", "_left", "_pace")

    def __init__(self, pace: Pace, now: float) -> None:
        self._pace = pace
        self._left = pace.burst
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` can be spent; 0.0 when it can be now."""
        self._left = min(self._pace.burst, self._left + max(0.0, now - self._at) * self._pace.per_s)
        self._at = now
        return max(0.0, min(amount, self._pace.burst) - self._left) / self._pace.per_s

    def spend(self, amount: float) -> None:
        """After `wait` said 0.0."""
        self._left -= amount


class Purse:
    """What one connection, or one network, may spend: requests, proofs among them, bytes, looks at meeting places; and
    what it may waste: refusals, and frames that bring no request."""

    __slots__ = ("frames", "meets", "proofs", "reads", "refusals", "requests", "traffic")

    def __init__(self, quotas: Quotas, now: float, times: int = 1) -> None:
        self.reads = 0  # queues that are read now
        self.requests = Bucket(_times(quotas.requests, times), now)
        self.traffic = Bucket(_times(quotas.traffic, times), now)
        self.proofs = Bucket(_times(quotas.proofs, times), now)
        self.refusals = Bucket(_times(quotas.refusals, times), now)
        self.frames = Bucket(_times(quotas.requests, times * bounds.FRAMES_PER_REQUEST), now)
        self.meets = Bucket(_times(quotas.meets, times), now)


class Paces:
    """The purses that one connection spends from: its own, and its network's unless that has none."""

    __slots__ = ("_purses",)

    def __init__(self, *purses: Purse) -> None:
        self._purses = purses

    def request(self, size: int, now: float, *, meet: bool = False, proof: bool = False) -> int:
        """Spend one request of so many bytes: 0, or the ms after which it can be spent, and nothing was."""
        prices = [(purse.requests, 1) for purse in self._purses]
        prices += [(purse.traffic, size) for purse in self._purses]
        if proof:
            prices += [(purse.proofs, 1) for purse in self._purses]
        if meet:
            prices += [(purse.meets, 1) for purse in self._purses]
        wait = max((bucket.wait(amount, now) for bucket, amount in prices), default=0.0)
        if wait > 0.0:
            return math.ceil(wait * 1_000)
        for bucket, amount in prices:
            bucket.spend(amount)
        return 0

    def refusal(self, now: float) -> bool:
        """Whether one more may be answered."""
        return _spend([purse.refusals for purse in self._purses], now)

    def frame(self, now: float) -> bool:
        """Whether one more may come."""
        return _spend([purse.frames for purse in self._purses], now)

    def read(self, more: int) -> None:
        """So many queues more are read, or fewer."""
        for purse in self._purses:
            purse.reads += more

    @property
    def reads(self) -> int:
        """Queues that are read by the connection, or by its network."""
        return max((purse.reads for purse in self._purses), default=0)

    def owe(self, size: int) -> None:
        """Bytes that were sent in vain: requests wait until they are made good."""
        for purse in self._purses:
            purse.traffic.spend(size)


class Networks:
    """The purses of networks (origins.py), the least recently used of which are forgotten."""

    def __init__(self, quotas: Quotas) -> None:
        self._quotas = quotas
        self._purses: OrderedDict[str, Purse] = OrderedDict()

    def purse(self, network: str, now: float) -> Purse:
        purse = self._purses.get(network)
        if purse is None:
            purse = self._purses[network] = Purse(self._quotas, now, self._quotas.per_network)
            if len(self._purses) > bounds.NETWORKS:
                self._purses.popitem(last=False)
        self._purses.move_to_end(network)
        return purse

    def __len__(self) -> int:
        return len(self._purses)


def _spend(buckets: list[Bucket], now: float) -> bool:
    if any(bucket.wait(1, now) > 0.0 for bucket in buckets):
        return False
    for bucket in buckets:
        bucket.spend(1)
    return True


def _times(pace: Pace, times: int) -> Pace:
    return Pace(pace.per_s * times, pace.burst * times)
