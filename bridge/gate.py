"""Decides who may connect by TCP, from the moment a connection is accepted: before TLS and any header. No I/O.

A connection is a stranger until its WebSocket is open. Strangers are few, of one network and together, and hold little;
where there are too many, the oldest of the network that has the most is cut off, so that whoever sends its headers
slowly, from however many addresses, keeps out himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge import bounds
from bridge.bounds import Pace
from bridge.rates import Bucket
from p2p_agents.quic.address import network_of
from p2p_agents.quic.admission import Admission, Place

if TYPE_CHECKING:
    from p2p_agents.quic.admission import Bounds

PACE = Pace(bounds.HANDSHAKES_OF_NETWORK, 4 * bounds.HANDSHAKES_OF_NETWORK)

Number = int  # of a connection, as long as it is there


class Gate:
    """Connections are known by numbers."""

    def __init__(self, most: Bounds, now: float) -> None:
        self._admission = Admission(most, now)
        self._places: dict[Number, Place] = {}
        self._numbers: dict[Place, Number] = {}
        self._displaced: list[Number] = []
        self._paces: dict[str, Bucket] = {}  # by network, the one that came last at the end
        self._strangers: dict[str, dict[Number, float]] = {}  # by network, and when they came, the oldest first

    @property
    def strangers(self) -> int:
        return sum(map(len, self._strangers.values()))

    def enter(self, number: Number, host: str, now: float) -> bool:
        """Whether a connection from `host` may stay, "" where that is not known; True counts it until `left`. Another
        may have to go for it: ask `excess`."""
        network = network_of(host)
        if network and not self._has_room(network, now):
            return False
        place = self._admission.admit(host, now, proven=True)  # by TCP
        if not isinstance(place, Place):
            return False
        self._places[number], self._numbers[place] = place, number
        if place.displaced is not None:
            self._displaced.append(self._numbers[place.displaced])
        self._strangers.setdefault(network, {})[number] = now
        return True

    def moved(self, number: Number, host: str, now: float) -> bool:
        """Whether a connection may stay of which a proxy said that it comes from `host`: it counts there from now on.
        Another may have to go for it: ask `excess`."""
        network, place = network_of(host), self._places[number]
        before = place.network
        if (network and not self._has_room(network, now)) or not self._admission.move(place, host, now):
            return False
        if place.displaced is not None:
            self._displaced.append(self._numbers[place.displaced])
        since = self._known(number, before)
        if since is not None:
            self._strangers.setdefault(network, {})[number] = since
        return True

    def _has_room(self, network: str, now: float) -> bool:
        """Whether it has few strangers here, and does not come too fast."""
        pace = self._paces.pop(network, None) or Bucket(PACE, now)
        self._paces[network] = pace
        if len(self._paces) > bounds.NETWORKS:
            del self._paces[next(iter(self._paces))]
        if len(self._strangers.get(network, ())) >= bounds.UPGRADES_OF_NETWORK or pace.wait(1, now) > 0.0:
            return False
        pace.spend(1)
        return True

    def excess(self) -> Number | None:
        """The stranger to be cut off, which is forgotten; None if there is room."""
        if self._displaced:
            number = self._displaced.pop()
            self.passed(number)
            return number
        if self.strangers <= bounds.UPGRADES:
            return None
        most = max(self._strangers.values(), key=len)
        number = next(iter(most))
        self.passed(number)
        return number

    def late(self, now: float) -> list[Number]:
        """Connections that have been strangers for too long, which are forgotten: they are to be cut off."""
        found = [
            number
            for strangers in self._strangers.values()
            for number, since in strangers.items()
            if now - since >= bounds.KNOCK_S
        ]
        for number in found:
            self.passed(number)
        return found

    def passed(self, number: Number) -> None:
        """Its WebSocket is open."""
        self._known(number, self._places[number].network)

    def _known(self, number: Number, network: str) -> float | None:
        """It is no longer a stranger of this network; returns since when it was one."""
        strangers = self._strangers.get(network, {})
        since = strangers.pop(number, None)
        if since is not None and not strangers:
            del self._strangers[network]
        return since

    def vouch(self, number: Number) -> None:
        """It belongs to a known client, and never makes room for others."""
        self._admission.vouch(self._places[number], True)

    def left(self, number: Number) -> None:
        """The connection ended."""
        self.passed(number)
        place = self._places.pop(number)
        del self._numbers[place]
        self._admission.release(place)
