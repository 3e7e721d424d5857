"""One UDP socket that both accepts and dials: many datagrams per wake, one flush per connection and tick."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Protocol, cast

from p2p_agents.errors import NoSocket
from p2p_agents.limits import AMPLIFICATION, CLOSED_REMEMBERED, REASSEMBLY_BYTES, RECEIVE_BATCH
from p2p_agents.quic import packet, private
from p2p_agents.quic.address import Address, canonical_host, to_sockaddr
from p2p_agents.quic.admission import Admission, Bounds, Place, Refusal
from p2p_agents.quic.connection import (
    CLOSE_CROWDED,
    CLOSE_FLOOD,
    CLOSE_INTERNAL,
    CLOSE_OK,
    BulkGranted,
    BulkReceived,
    BulkRoom,
    BulkSent,
    BulkStopped,
    CidIssued,
    CidRetired,
    Closed,
    Connected,
    Connection,
    Event,
    Received,
)
from p2p_agents.quic.datagrams import ANY, Datagrams
from p2p_agents.quic.proof import Proofs

if TYPE_CHECKING:
    from aioquic.quic.configuration import QuicConfiguration

    from p2p_agents.quic.certificate import NodeCertificate
    from p2p_agents.quic.connection import BulkEvent

log = logging.getLogger(__name__)

ALPN = "p2pa/1"


class Handler(Protocol):
    """Callbacks to the owner of an endpoint, in the loop's thread; raising costs that connection, and no other.

    `closed` is the last word on a connection, and the only one when it never connected. A handler may have
    `probed(data, address)` too, for datagrams that are not QUIC; one that opens or grants bulk streams has
    `carried(connection, event)`.
    """

    def connected(self, connection: Connection) -> None: ...

    def received(self, connection: Connection, data: bytes) -> None: ...

    def closed(self, connection: Connection, reason: Closed) -> None: ...


class BulkHandler(Handler, Protocol):
    """One that has bulk streams too."""

    def carried(self, connection: Connection, event: BulkEvent) -> None: ...


class Endpoint:
    """Accepts and dials QUIC connections on one socket. Everything runs in the loop that opened it."""

    def __init__(
        self,
        sock: Datagrams,
        certificate: NodeCertificate,
        handler: Handler,
        alpn: str,
        bounds: Bounds,
    ) -> None:
        self._socket = sock
        self._handler = handler
        self._server_key = certificate.public
        self._alpn = alpn
        self._client_configs: dict[str, QuicConfiguration] = {}
        self._server_config = private.configuration(is_client=False, alpn=alpn, certificate=certificate)
        self._loop = asyncio.get_running_loop()
        self._admission = Admission(bounds, self._loop.time())
        self._numbers = itertools.count(1)
        self._open: dict[Connection, _Seat] = {}
        self._placed: dict[Place, Connection] = {}
        self._proofs = Proofs()
        self._kept = 0  # of all connections: bytes that wait for the bytes before them
        self._routes: dict[bytes, Connection] = {}
        self._last_words: dict[bytes, tuple[list[tuple[bytes, Address]], bytes]] = {}  # and the address they leave from
        self._dirty: dict[Connection, None] = {}
        self._flush_due = False
        self._closed = False
        self.port = sock.port
        self._loop.add_reader(sock, self._on_readable)

    @classmethod
    async def open(
        cls,
        certificate: NodeCertificate,
        handler: Handler,
        *,
        port: int = 0,
        host: str | None = None,
        alpn: str = ALPN,
        bounds: Bounds | None = None,
    ) -> Endpoint:
        """Bind `host`, or every address of both IP versions. Raises NoSocket."""
        return cls(Datagrams.bind(host, port), certificate, handler, alpn, bounds or Bounds())

    @property
    def connections(self) -> tuple[Connection, ...]:
        """Every connection that has not ended, connected or not."""
        return tuple(self._open)

    def dial(
        self, address: Address, *, pin: bytes | None = None, alpn: str = "", handler: Handler | None = None
    ) -> Connection:
        """Start a connection; failure arrives as `closed`. Its events go to `handler` instead of the endpoint's.

        Raises Usage where the address is no IP literal this socket can reach, NoSocket once closed.
        """
        if self._closed:
            raise NoSocket("the endpoint is closed")
        to_sockaddr(address, self._socket.family)
        connection = Connection.dial(
            self._client_config(alpn or self._alpn),
            (canonical_host(address[0]), address[1]),
            next(self._numbers),
            pin=pin,
            now=self._loop.time(),
            wake=self._wake,
        )
        self._open[connection] = _Seat(handler or self._handler, place=None)
        self._deliver(connection)
        self._wake(connection)
        return connection

    def vouch(self, connection: Connection, known: bool) -> None:
        """The owner of an accepted connection knows who is there: it never makes room for others. Else ignored."""
        seat = self._open.get(connection)
        if seat is not None and seat.place is not None:
            seat.known = known
            self._admission.vouch(seat.place, known)

    def send(self, data: bytes, address: Address) -> None:
        """Send a datagram that is not QUIC, like those given to `probed`."""
        self._send(data, address, ANY)

    def _client_config(self, alpn: str) -> QuicConfiguration:
        if alpn not in self._client_configs:
            self._client_configs[alpn] = private.configuration(is_client=True, alpn=alpn, certificate=None)
        return self._client_configs[alpn]

    async def close(self) -> None:
        """Say goodbye on every connection and release the socket; `closed` is called for each. Idempotent."""
        if self._closed:
            return
        self._closed = True
        for connection in self.connections:
            connection.close(CLOSE_OK, "the node is stopping")
        self._flush()
        self._loop.remove_reader(self._socket)
        self._socket.close()

    # --- receiving ---

    def _on_readable(self) -> None:
        now = self._loop.time()
        self._flush_due = True  # this wake flushes at its end: nothing needs to schedule one
        heard: dict[Connection, None] = {}
        for _ in range(RECEIVE_BATCH):
            try:
                data, address, local = self._socket.receive()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as fault:  # an ICMP error of an earlier datagram
                log.debug("receiving: %s", fault)
                continue
            if not packet.is_quic(data):
                self._probe(data, address)
                continue
            connection = self._route(data, address, local, now)
            if connection is not None:
                connection.receive(data, address, now)
                self._open[connection].local = local
                heard[connection] = None
        for connection in heard:
            self._weigh(connection)
            self._deliver(connection)
            self._dirty[connection] = None
        self._flush()

    def _route(self, data: bytes, address: Address, local: bytes, now: float) -> Connection | None:
        cid = packet.destination_cid(data)
        connection = self._routes.get(cid)
        if connection is not None:
            return connection
        if cid in self._last_words:
            self._repeat_last_words(cid, address, len(data))
            return None
        if self._closed or not packet.opens_connection(data):
            return None
        initial = packet.initial(data)
        if initial is None:
            return None
        opening = self._proofs.check(initial, address, now)
        place = self._admission.admit(address[0], now, proven=opening is not None)
        if place is Refusal.UNPROVEN:
            self._send(self._proofs.demand(initial, address, now), address, local)
        if not isinstance(place, Place):
            return None
        if place.displaced is not None:
            self._placed[place.displaced].close(CLOSE_CROWDED, "crowded")
        connection = Connection.accept(
            self._server_config,
            cid if opening is None else opening.chosen,
            next(self._numbers),
            server_key=self._server_key,
            now=now,
            wake=self._wake,
            told_cid=b"" if opening is None else opening.told,
        )
        self._open[connection] = _Seat(self._handler, place)
        self._placed[place] = connection
        self._deliver(connection)
        return connection

    def _weigh(self, connection: Connection) -> None:
        """Bound what all connections keep together: the heaviest is closed, those that nobody vouched for first."""
        seat = self._open[connection]
        kept = connection.kept()
        self._kept += kept - seat.kept
        seat.kept = kept
        if self._kept > REASSEMBLY_BYTES:
            heaviest = max(self._open, key=lambda one: (not self._open[one].known, self._open[one].kept))
            heaviest.close(CLOSE_FLOOD, "too much is kept for all")

    def _probe(self, data: bytes, address: Address) -> None:
        """A datagram that is not QUIC: for a handler with a `probed`, otherwise nobody's."""
        probed = getattr(self._handler, "probed", None)
        if probed is None or not data:
            return
        try:
            probed(data, address)
        except Exception:
            log.exception("the handler failed on a probe from %s", address[0])

    # --- the handler ---

    def _deliver(self, connection: Connection) -> None:
        for event in connection.events():
            try:
                self._tell(connection, event)
            except Exception:  # one connection's handler must not take the endpoint down
                log.exception("connection %d: the handler failed", connection.id)
                connection.close(CLOSE_INTERNAL, "internal error")

    def _tell(self, connection: Connection, event: Event) -> None:
        handler = self._open[connection].handler
        match event:
            case Received(data):
                handler.received(connection, data)
            case BulkReceived() | BulkStopped() | BulkGranted() | BulkRoom() | BulkSent():
                cast("BulkHandler", handler).carried(connection, event)
            case Connected():
                handler.connected(connection)
            case Closed():
                self._forget(connection)
                handler.closed(connection, event)
            case CidIssued(cid):
                self._routes[cid] = connection
                self._open[connection].cids.add(cid)
            case CidRetired(cid):
                self._routes.pop(cid, None)
                self._open[connection].cids.discard(cid)

    def _forget(self, connection: Connection) -> None:
        seat = self._open.pop(connection)
        self._kept -= seat.kept
        if seat.timer is not None:
            seat.timer.cancel()
        if seat.place is not None:
            self._admission.release(seat.place)
            del self._placed[seat.place]
        for cid in seat.cids:
            self._routes.pop(cid, None)
            if connection.last_words:
                self._last_words[cid] = connection.last_words, seat.local
        while len(self._last_words) > CLOSED_REMEMBERED:
            del self._last_words[next(iter(self._last_words))]

    def _repeat_last_words(self, cid: bytes, address: Address, heard: int) -> None:
        """The CONNECTION_CLOSE was lost: say it once more to where it was said (RFC 9000 section 10.2.1).

        The address may never have been proven: it gets a bounded multiple of the `heard` bytes (section 8.1).
        """
        words, local = self._last_words[cid]
        if sum(len(data) for data, _ in words) > AMPLIFICATION * heard:
            return
        del self._last_words[cid]
        for data, known in words:
            if known == address:
                self._send(data, known, local)

    # --- sending ---

    def _wake(self, connection: Connection) -> None:
        self._dirty[connection] = None
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Send for every woken connection, including those woken meanwhile."""
        now = self._loop.time()
        self._flush_due = True
        while self._dirty:
            connection, _ = self._dirty.popitem()
            seat = self._open.get(connection)
            local = ANY if seat is None or connection.dialed else seat.local
            for data, address in connection.datagrams(now):
                self._send(data, address, local)
            self._deliver(connection)
            self._arm(connection)
        self._flush_due = False

    def _send(self, data: bytes, address: Address, local: bytes) -> None:
        try:
            self._socket.send(data, address, local)
        except OSError as fault:  # no route, no permission, no buffer: to QUIC it is a lost datagram
            log.debug("sending to %s: %s", address[0], fault)

    # --- time ---

    def _arm(self, connection: Connection) -> None:
        """Have `_on_time` called by the deadline; a handle that fires early is cheaper than a new one."""
        seat = self._open.get(connection)
        deadline = connection.deadline()
        if seat is None or deadline is None:
            return
        if seat.timer is not None:
            if seat.timer.when() <= deadline:
                return
            seat.timer.cancel()
        seat.timer = self._loop.call_at(deadline, self._on_time, connection)

    def _on_time(self, connection: Connection) -> None:
        seat = self._open[connection]
        seat.timer = None
        now = self._loop.time()
        deadline = connection.deadline()
        if deadline is not None and now < deadline:
            self._arm(connection)
            return
        connection.tick(now)
        self._deliver(connection)
        self._wake(connection)


class _Seat:
    """An open connection, as the endpoint keeps it."""

    __slots__ = ("cids", "handler", "kept", "known", "local", "place", "timer")

    def __init__(self, handler: Handler, place: Place | None) -> None:
        self.handler = handler
        self.place = place  # of an accepted connection
        self.known = place is None  # the owner knows who is there: it was dialled, or vouched for
        self.kept = 0
        self.cids: set[bytes] = set()
        self.local = ANY  # our address that the peer dialled
        self.timer: asyncio.TimerHandle | None = None
