"""The pace of clients: token buckets of a connection and of a network."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING

from bridge import bounds
from bridge.bounds import Pace

if TYPE_CHECKING:
    from bridge.bounds import Quotas


class Bucket:
    """Fills at its pace. An amount larger than the whole bucket passes when it is full, and leaves a debt."""

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

    def owe(self, amount: float) -> None:
        """Take an amount that was already used. Debts are kept small, because others have to wait for them too."""
        self._left = max(self._left - amount, -self._pace.burst)


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


class Least:
    """What one connection may spend although its network, where others are too, has nothing left."""

    __slots__ = ("frames", "refusals", "requests", "traffic")

    def __init__(self, now: float) -> None:
        self.requests = Bucket(Pace(bounds.LEAST_PER_S, bounds.LEAST_AT_ONCE), now)
        self.traffic = Bucket(Pace(bounds.LEAST_BYTES_PER_S, bounds.LEAST_BYTES_AT_ONCE), now)
        self.frames = Bucket(Pace(bounds.LEAST_FRAMES_PER_S, bounds.LEAST_FRAMES_AT_ONCE), now)
        self.refusals = Bucket(Pace(bounds.LEAST_REFUSALS_PER_S, bounds.LEAST_REFUSALS_AT_ONCE), now)


class Paces:
    """The purses that one connection spends from: its own, and its network's unless that has none. Where only the
    network's is empty a little is let pass: others may have emptied it."""

    __slots__ = ("_least", "_network", "_own")

    def __init__(self, own: Purse, network: Purse | None, now: float) -> None:
        self._own = own
        self._network = network
        self._least = Least(now)

    def request(self, size: int, now: float, *, meet: bool = False, proof: bool = False) -> int:
        """Spend one request of so many bytes: 0, or the ms after which it can be spent, and nothing was."""
        own = _prices(self._own, size, meet=meet, proof=proof)
        shared = _prices(self._network, size, meet=meet, proof=proof) if self._network else []
        wait, crowded = _wait(own, now), _wait(shared, now)
        if crowded and self._network and not meet:  # guesses at a place are counted for all of a network
            # a READ brings blobs, so it waits until those that others asked for in vain are made good
            traffic = self._network.traffic if proof else self._least.traffic
            least = [(self._least.requests, 1.0), (traffic, float(size))]
            crowded, shared = min((crowded, shared), (_wait(least, now), least), key=lambda one: one[0])
        if wait or crowded:
            return math.ceil(max(wait, crowded) * 1_000)
        for bucket, amount in own + shared:
            bucket.spend(amount)
        return 0

    def refusal(self, now: float) -> bool:
        """Whether one more may be answered."""
        shared = self._network.refusals if self._network else None
        return _spend(self._own.refusals, shared, self._least.refusals, now)

    def frame(self, now: float) -> bool:
        """Whether one more may come."""
        shared = self._network.frames if self._network else None
        return _spend(self._own.frames, shared, self._least.frames, now)

    @property
    def _purses(self) -> tuple[Purse, ...]:
        return (self._own, self._network) if self._network else (self._own,)

    def read(self, more: int) -> None:
        """So many queues more are read, or fewer."""
        for purse in self._purses:
            purse.reads += more

    @property
    def reads(self) -> int:
        """Queues that are read by the connection, or by its network."""
        return max((purse.reads for purse in self._purses), default=0)

    def owe(self, size: int) -> None:
        """Bytes that were sent in vain: requests wait until the debt is paid."""
        for purse in self._purses:
            purse.traffic.owe(size)


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


def _prices(purse: Purse, size: int, *, meet: bool, proof: bool) -> list[tuple[Bucket, float]]:
    prices = [(purse.requests, 1.0), (purse.traffic, float(size))]
    prices += [(purse.proofs, 1.0)] if proof else []
    prices += [(purse.meets, 1.0)] if meet else []
    return prices


def _wait(prices: list[tuple[Bucket, float]], now: float) -> float:
    return max((bucket.wait(amount, now) for bucket, amount in prices), default=0.0)


def _spend(own: Bucket, shared: Bucket | None, least: Bucket, now: float) -> bool:
    """One of what is the connection's own and its network's, or of the least that it may."""
    buckets = [own]
    if shared is not None:
        buckets.append(least if shared.wait(1, now) > 0.0 else shared)
    if any(bucket.wait(1, now) > 0.0 for bucket in buckets):
        return False
    for bucket in buckets:
        bucket.spend(1)
    return True


def _times(pace: Pace, times: int) -> Pace:
    return Pace(pace.per_s * times, pace.burst * times)
