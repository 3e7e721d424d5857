"""Who may come in by TCP, counted from when a connection is accepted: before TLS, before a header is read. No I/O.

A connection is a stranger until its WebSocket is open. Strangers are few, of one network and together, and hold little;
where there are too many, the oldest of the network that has the most is cut off, so that whoever sends its headers
slowly, from however many addresses, keeps out himself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge import bounds
from p2p_agents.quic.address import network_of
from p2p_agents.quic.admission import Admission

if TYPE_CHECKING:
    from p2p_agents.quic.admission import Bounds, Place

Number = int  # of a connection, as long as it is there


class Gate:
    """Connections are known by numbers."""

    def __init__(self, most: Bounds, now: float) -> None:
        self._admission = Admission(most, now)
        self._places: dict[Number, Place] = {}
        self._strangers: dict[str, dict[Number, float]] = {}  # by network, and when they came, the oldest first

    @property
    def strangers(self) -> int:
        return sum(map(len, self._strangers.values()))

    def enter(self, number: Number, host: str, now: float) -> bool:
        """Whether a connection from `host` may stay, "" where that is not known; True counts it until `left`."""
        network = network_of(host)
        if network and len(self._strangers.get(network, ())) >= bounds.UPGRADES_OF_NETWORK:
            return False
        place = self._admission.admit(host, now)
        if place is None:
            return False
        self._places[number] = place
        self._strangers.setdefault(network, {})[number] = now
        return True

    def excess(self) -> Number | None:
        """Who is to be cut off, a stranger no more; None where there is room."""
        if self.strangers <= bounds.UPGRADES:
            return None
        most = max(self._strangers.values(), key=len)
        number = next(iter(most))
        self.passed(number)
        return number

    def late(self, now: float) -> list[Number]:
        """Who has been a stranger for too long, and is one no more: they are to be cut off."""
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
        network = self._places[number].network
        strangers = self._strangers.get(network, {})
        if strangers.pop(number, None) is not None and not strangers:
            del self._strangers[network]

    def left(self, number: Number) -> None:
        """The connection ended."""
        self.passed(number)
        self._admission.release(self._places.pop(number))
