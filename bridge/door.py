"""The listening socket of the TCP port: it passes on only connections that the gate admits, and cuts off the others.

asyncio takes a connection from `accept` of the socket it listens on, and lets it go by `close` of what it was given:
those two are all that is between the gate and it.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bridge import bounds
from bridge.gate import Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.quic.admission import Bounds

SWEEP_S = 1.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: nothing of the connection stays in the kernel


class _Guest(socket.socket):
    """An accepted connection: it reports when it is closed."""

    closed: Callable[[], None] | None = None

    def close(self) -> None:
        super().close()
        closed, self.closed = self.closed, None
        if closed is not None:
            closed()


class Door(socket.socket):
    """Listens, and admits. Connections are known by their file descriptors."""

    def __init__(self, listening: socket.socket, most: Bounds, whence: Callable[[str], str]) -> None:
        super().__init__(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._loop = asyncio.get_running_loop()
        self._whence = whence
        self._guests: dict[int, _Guest] = {}
        self.gate = Gate(most, self._loop.time())
        self.turned_away = 0
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    @classmethod
    def open(cls, host: str | None, port: int, most: Bounds, whence: Callable[[str], str]) -> Door:
        """On `host`, or on every address of both IP versions. `whence` tells for which host an address counts, "" for
        one that is not known. Raises OSError."""
        return cls(_listen(host, port), most, whence)

    def accept(self) -> tuple[socket.socket, Any]:
        """The next that is let in. Raises BlockingIOError where there is none, ConnectionAbortedError after many that
        are not: asyncio comes again."""
        for _ in range(bounds.REFUSED_AT_ONCE):
            if (found := self._take()) is not None:
                return found
        raise ConnectionAbortedError("nobody is let in")

    def _take(self) -> tuple[socket.socket, Any] | None:
        taken, address = super().accept()
        guest = _Guest(taken.family, taken.type, taken.proto, fileno=taken.detach())
        number = guest.fileno()
        if not self.gate.enter(number, self._whence(str(address[0])), self._loop.time()):
            self.turned_away += 1
            guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            guest.close()
            return None
        guest.closed = lambda: self._left(number)
        self._guests[number] = guest
        self._make_room()
        return guest, address

    def moved(self, number: int, host: str) -> bool:
        """Whether this connection, which a proxy brought from `host`, may stay: it counts there from now on."""
        stays = number in self._guests and self.gate.moved(number, host, self._loop.time())
        self._make_room()
        return stays

    def _make_room(self) -> None:
        while (other := self.gate.excess()) is not None:
            self._cut(other)

    def passed(self, number: int) -> None:
        """This connection's WebSocket is open."""
        if number in self._guests:
            self.gate.passed(number)

    def vouch(self, number: int) -> None:
        """This connection belongs to a known client."""
        if number in self._guests:
            self.gate.vouch(number)

    def close(self) -> None:
        self._sweeper.cancel()
        super().close()

    def _left(self, number: int) -> None:
        del self._guests[number]
        self.gate.left(number)

    def _sweep(self) -> None:
        for number in self.gate.late(self._loop.time()):
            self._cut(number)
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def _cut(self, number: int) -> None:
        """Shut it down: its transport then finds it ended."""
        self.turned_away += 1
        with suppress(OSError):  # it was ended already
            self._guests[number].shutdown(socket.SHUT_RDWR)


def _listen(host: str | None, port: int) -> socket.socket:
    backlog = bounds.UPGRADES
    if host:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host.strip("[]"), port), family=family, backlog=backlog)
    try:
        return socket.create_server(("::", port), family=socket.AF_INET6, backlog=backlog, dualstack_ipv6=True)
    except (OSError, ValueError) as error:  # a machine without IPv6
        if getattr(error, "errno", None) == errno.EADDRINUSE:
            raise
        return socket.create_server(("0.0.0.0", port), backlog=backlog)  # noqa: S104 - every address is asked for
