"""Who may open a connection: bounds on all, on one network, and on the pace of handshakes; strangers make room."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import Enum, auto

from p2p_agents.limits import CONNECTIONS, CONNECTIONS_PER_NETWORK, HANDSHAKES_PER_S
from p2p_agents.quic.address import network_of


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an endpoint accepts; the numbers are a node's.

    `patience_s` is for how long a connection that nobody vouched for keeps its place although a newcomer finds none;
    None: for ever, newcomers are refused.
    """

    connections: int = CONNECTIONS
    per_network: int = CONNECTIONS_PER_NETWORK  # loopback is exempt: one machine may host many nodes
    handshakes_per_s: int = HANDSHAKES_PER_S
    patience_s: float | None = None

    def __post_init__(self) -> None:
        if min(self.connections, self.per_network, self.handshakes_per_s) < 1:
            raise ValueError("every bound is at least 1")


class Refusal(Enum):
    """Why there is no place."""

    FULL = auto()
    UNPROVEN = auto()  # there may be one for an address that was proven


class Place:
    """That of one accepted connection. `displaced` is the place that was freed for it."""

    __slots__ = ("displaced", "network", "since")

    def __init__(self, network: str, since: float, displaced: Place | None) -> None:
        self.network = network
        self.since = since
        self.displaced = displaced


class Admission:
    """Counts accepted connections and spends token buckets, one second deep, on their handshakes.

    Those that somebody vouched for count towards all, not towards their network, and make room for nobody. An address
    that was not proven may be anybody's: such a newcomer displaces nobody, and has a bucket of its own, half as deep.
    """

    __slots__ = ("_bounds", "_crowds", "_proven", "_taken", "_unproven", "_vouched")

    def __init__(self, bounds: Bounds, now: float) -> None:
        self._bounds = bounds
        self._proven = Tokens(bounds.handshakes_per_s, now)
        self._unproven = Tokens(max(1, bounds.handshakes_per_s // 2), now)
        self._crowds: defaultdict[str, dict[Place, None]] = defaultdict(dict)  # nobody vouched for; oldest first
        self._vouched: set[Place] = set()
        self._taken = 0

    def admit(self, host: str, now: float, *, proven: bool) -> Place | Refusal:
        """The place of one more connection from `host`. It may have displaced another, which has none now."""
        network = network_of(host)
        crowd = self._crowds.get(network, {})
        crowded = bool(network) and len(crowd) >= self._bounds.per_network
        displaced = None
        if crowded or self._taken >= self._bounds.connections:
            displaced = self._who_makes_room(crowd if crowded else None, now)
            if displaced is None or not proven:
                return Refusal.FULL if displaced is None else Refusal.UNPROVEN
        if not (self._proven if proven else self._unproven).spend(now):
            return Refusal.FULL if proven else Refusal.UNPROVEN
        if displaced is not None:
            self.release(displaced)
        place = Place(network, now, displaced)
        self._crowds[network][place] = None
        self._taken += 1
        return place

    def vouch(self, place: Place, known: bool) -> None:
        """Its owner knows, or no longer knows, who is there; ignored for a place that is free again."""
        if known == (place in self._vouched) or not self._remove(place):
            return
        self._taken += 1
        if known:
            self._vouched.add(place)
        else:
            self._crowds[place.network][place] = None

    def move(self, place: Place, host: str, now: float) -> bool:
        """Its owner learned where the connection comes from: whether there is a place for one more from `host`, where
        it counts from now on. It may have displaced another of that network, which has none now."""
        network = network_of(host)
        crowd = self._crowds.get(network, {})
        place.displaced = None
        if network and network != place.network and len(crowd) >= self._bounds.per_network:
            place.displaced = self._who_makes_room(crowd, now)
            if place.displaced is None:
                return False
            self.release(place.displaced)
        if not self._remove(place):
            return False
        place.network = network
        self._crowds[network][place] = None
        self._taken += 1
        return True

    def release(self, place: Place) -> None:
        """Its connection ended. Repeatable."""
        self._remove(place)

    def _remove(self, place: Place) -> bool:
        """Whether it was taken."""
        crowd = self._crowds.get(place.network, {})
        taken = place in crowd or place in self._vouched
        self._taken -= taken
        self._vouched.discard(place)
        crowd.pop(place, None)
        if not crowd:
            self._crowds.pop(place.network, None)
        return taken

    def _who_makes_room(self, crowd: dict[Place, None] | None, now: float) -> Place | None:
        """The oldest place of the crowd, or of the largest one, once it has had its time."""
        patience = self._bounds.patience_s
        if patience is None:
            return None
        largest = crowd or max(self._crowds.values(), key=_weight, default=None)
        oldest = None if largest is None else next(iter(largest))
        return oldest if oldest is not None and now - oldest.since >= patience else None


class Tokens:
    """A bucket that is full after a second."""

    __slots__ = ("_at", "_left", "_rate")

    def __init__(self, rate: int, now: float) -> None:
        self._rate = rate
        self._left = float(rate)
        self._at = now

    def spend(self, now: float) -> bool:
        """Whether there was one."""
        self._left = min(float(self._rate), self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def _weight(crowd: dict[Place, None]) -> tuple[int, float]:
    """More places first, then the older."""
    return len(crowd), -next(iter(crowd)).since
