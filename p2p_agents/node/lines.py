"""Connects the core with the endpoint: connection events become items, effects become bytes and dials."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, assert_never

from p2p_agents.core.kernel.effects import Connect, Hangup, Proven, Transmit, Vouch
from p2p_agents.core.links import opening
from p2p_agents.core.turn import dispatch
from p2p_agents.errors import P2PError
from p2p_agents.limits import (
    CONTACTS_WORK_BURST,
    CONTACTS_WORK_PER_S,
    INBOUND_QUEUE_BYTES,
    STRANGER_PATIENCE_S,
    STRANGERS_WORK_BURST,
    STRANGERS_WORK_PER_S,
)
from p2p_agents.link.admission import Bucket, Gate
from p2p_agents.quic.address import format_address, is_loopback, parse_address
from p2p_agents.quic.admission import Bounds
from p2p_agents.quic.connection import CLOSE_OWNER

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.core.kernel.effects import ForEndpoint
    from p2p_agents.core.turn.batch import Outcome
    from p2p_agents.link.routing import Dial, Target
    from p2p_agents.net.probing import Probe
    from p2p_agents.node.lane import Lane
    from p2p_agents.node.writer import Writer
    from p2p_agents.quic.address import Address
    from p2p_agents.quic.connection import BulkEvent, Closed, Connection
    from p2p_agents.quic.endpoint import Endpoint

log = logging.getLogger(__name__)

BOUNDS = Bounds(patience_s=STRANGER_PATIENCE_S)
CLOSE_BY_CORE = CLOSE_OWNER
CLOSE_OUTRUN = CLOSE_OWNER + 1


class Lines:
    """The endpoint's handler. All of it runs in the loop's thread. `now` is seconds of a monotonic clock."""

    endpoint: Endpoint
    lane: Lane

    def __init__(self, writer: Writer, now: Callable[[], float] = time.monotonic) -> None:
        self._writer = writer
        self._now = now
        self._strangers = Bucket(STRANGERS_WORK_BURST, STRANGERS_WORK_PER_S)
        self._contacts = Bucket(CONTACTS_WORK_BURST, CONTACTS_WORK_PER_S)
        self._gates: dict[int, Gate] = {}
        self._connections: dict[int, Connection] = {}
        self._targets: dict[int, Target] = {}  # of dials in progress or successful
        self.probes: set[Probe] = set()  # of callers that test right now what gets through
        self._queued: dict[int, int] = {}  # bytes handed to the writer and not yet taken

    # --- from the endpoint ---

    def connected(self, connection: Connection) -> None:
        number, dialed, key = connection.id, connection.dialed, connection.server_key
        address = format_address(connection.address)
        target = self._targets.get(number)
        self._connections[number] = connection
        self._queued[number] = 0
        self._gates[number] = Gate(self._strangers, self._contacts, near=is_loopback(address))
        if target is not None:
            self._writer.submit(lambda core: core.router.dialed(target))
        self._writer.submit(
            lambda core: opening.connected(core, number, dialed, address, key, target),
            lambda outcome: self._taken(number, 0, outcome),
        )

    def received(self, connection: Connection, data: bytes) -> None:
        """QUIC streams have no backpressure here: a peer that sends faster than the writer takes, or beyond its
        allowance, is cut off before the writer gets any of it."""
        number, size = connection.id, len(data)
        if not self._gates[number].passes(data, self._now()):
            log.debug("connection %d: more than it may ask of us", number)
            connection.close(CLOSE_OUTRUN, "flood")
            return
        self._queued[number] += size
        if self._queued[number] > INBOUND_QUEUE_BYTES:
            log.warning("connection %d: more than %d bytes wait", number, INBOUND_QUEUE_BYTES)
            connection.close(CLOSE_OUTRUN, "flood")
            return
        self._writer.submit(
            lambda core: dispatch.received(core, number, data), lambda outcome: self._taken(number, size, outcome)
        )

    def _taken(self, number: int, size: int, outcome: Outcome) -> None:
        """Bytes that were not processed leave a hole in the stream: only a new connection can continue."""
        if number in self._queued:
            self._queued[number] -= size
            if outcome.error is not None:
                self._connections[number].close(CLOSE_BY_CORE, outcome.error.code)

    def closed(self, connection: Connection, reason: Closed) -> None:
        number = connection.id
        target = self._targets.pop(number, None)
        log.debug("connection %d closed: %s %s", number, reason.kind, reason.reason)
        if self._connections.pop(number, None) is not None:
            del self._queued[number], self._gates[number]
            self.lane.closed(number)
            why = reason.reason if reason.by_peer else ""
            self._writer.submit(lambda core: opening.disconnected(core, number, why))
        elif target is not None:
            self._writer.submit(lambda core: core.router.dialed(target))

    def carried(self, connection: Connection, event: BulkEvent) -> None:
        self.lane.carried(connection, event)

    def find(self, number: int) -> Connection | None:
        """The connection of that number, if it lives."""
        return self._connections.get(number)

    def probed(self, data: bytes, address: Address) -> None:
        """Answer datagrams that this machine sends to itself, and no others."""
        for probe in self.probes:
            if (answer := probe.answer(data)) is not None:
                self.endpoint.send(answer, address)

    # --- from the core ---

    def carry(self, effect: ForEndpoint) -> None:
        """Carry out an effect."""
        match effect:
            case Transmit(number, data):
                if (connection := self._connections.get(number)) is not None:
                    connection.send(data)
            case Hangup(number, code):
                if (connection := self._connections.get(number)) is not None:
                    connection.close(CLOSE_BY_CORE, code)
            case Vouch(number, known):
                if (connection := self._connections.get(number)) is not None:
                    self.endpoint.vouch(connection, known)
            case Proven(number):
                if (gate := self._gates.get(number)) is not None:
                    gate.proven = True
            case Connect(dial):
                self._dial(dial)
            case _:
                assert_never(effect)

    def _dial(self, dial: Dial) -> None:
        """Dial all addresses at once; the first that answers is kept, and the core drops the others."""
        pin = dial.target.node or None
        for address in dial.addresses:
            try:
                connection = self.endpoint.dial(parse_address(address), pin=pin)
            except P2PError as error:  # an address that this socket cannot reach
                log.debug("cannot dial %s: %s", address, error.message)
                self._writer.submit(lambda core: core.router.dialed(dial.target))
            else:
                self._targets[connection.id] = dial.target
