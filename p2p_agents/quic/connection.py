"""One QUIC connection: a message stream and bulk streams, without I/O: bytes and time in, bytes and events out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from aioquic.quic import events as quic_events

from p2p_agents.limits import (
    BULK_BACKLOG_BYTES,
    CLOSE_REASON_CHARS,
    DIAL_TIMEOUT_S,
    HEARTBEAT_S,
    PACKETS_IN_FLIGHT,
    SEND_BACKLOG_BYTES,
)
from p2p_agents.quic import bulk_streams, private

if TYPE_CHECKING:
    from collections.abc import Callable

    from aioquic.quic.configuration import QuicConfiguration

    from p2p_agents.quic.address import Address

log = logging.getLogger(__name__)

# Application error codes of CONNECTION_CLOSE. Owners of an endpoint use codes from CLOSE_OWNER up.
CLOSE_OK = 0
CLOSE_PROTOCOL = 1  # an unreadable packet; breaking QUIC's own rules or limits ends with QUIC's codes
CLOSE_FLOOD = 2  # the backlog exceeded its limit
CLOSE_REFUSED = 3  # the peer is not the one that was dialled
CLOSE_TIMEOUT = 4  # the handshake took too long, or the peer fell silent
CLOSE_INTERNAL = 5  # a handler failed
CLOSE_CROWDED = 6  # nobody vouched for it, and another took its place
CLOSE_OWNER = 16

ACK_EVERY = 2  # datagrams heard, at most, before something is said (RFC 9000 section 13.2.2)
ROUNDING_S = 1e-6  # at exactly a deadline, aioquic's float sums may find nothing due, and then be due again at once

ClosedKind = Literal["closed", "timeout", "refused", "flood", "protocol"]
_KINDS: dict[int, ClosedKind] = {
    CLOSE_PROTOCOL: "protocol",
    CLOSE_FLOOD: "flood",
    CLOSE_REFUSED: "refused",
    CLOSE_TIMEOUT: "timeout",
}


@dataclass(frozen=True, slots=True)
class Connected:
    """The handshake is complete and the pin, if any, matched."""


@dataclass(frozen=True, slots=True)
class Received:
    """The next bytes of the message stream, never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class BulkReceived:
    """The next bytes of a bulk stream of the peer; it ends with them where `end` says so, and only then they may be
    none. `consumed` lets as many more come."""

    stream: int
    data: bytes
    end: bool


@dataclass(frozen=True, slots=True)
class BulkStopped:
    """The peer gave a bulk stream up: its own, or one of ours."""

    stream: int
    code: int


@dataclass(frozen=True, slots=True)
class BulkRoom:
    """Of what was written to a bulk stream of ours less than half of BULK_BACKLOG_BYTES is left to be acknowledged."""

    stream: int


@dataclass(frozen=True, slots=True)
class BulkGranted:
    """The peer lets us open a bulk stream, which `open_bulk` had none for."""


@dataclass(frozen=True, slots=True)
class BulkSent:
    """All of a bulk stream of ours, its end too, was acknowledged."""

    stream: int


BulkEvent = BulkReceived | BulkStopped | BulkGranted | BulkRoom | BulkSent


@dataclass(frozen=True, slots=True)
class Closed:
    """The last event. `code` is one of the above, an owner's, or for "protocol" and "refused" QUIC's own."""

    code: int
    reason: str
    by_peer: bool
    kind: ClosedKind


@dataclass(frozen=True, slots=True)
class CidIssued:
    """Datagrams to this connection id are for this connection."""

    cid: bytes


@dataclass(frozen=True, slots=True)
class CidRetired:
    """Datagrams to this connection id no longer are."""

    cid: bytes


Event = Connected | Received | BulkEvent | Closed | CidIssued | CidRetired


class Connection:
    """A connection and its one message stream, which the dialer opens with its first `send`. Either side may open bulk
    streams, each in one direction and for one transfer, as many as the other granted.

    The owner feeds `receive` and `tick`, then takes `events`, sends `datagrams`, and takes `events` again:
    sending may end the connection. `wake(connection)` asks the owner to do so soon.
    """

    __slots__ = (
        "_awaits_grant",
        "_bulk",
        "_events",
        "_handshake_deadline",
        "_outgoing",
        "_outgoing_bytes",
        "_pin",
        "_pinged",
        "_quic",
        "_stream_open",
        "_unanswered",
        "_verdict",
        "_wake",
        "connected",
        "dialed",
        "ended",
        "id",
        "last_heard",
        "last_words",
        "server_key",
    )

    def __init__(
        self,
        quic: private.BoundedQuicConnection,
        number: int,
        *,
        dialed: bool,
        server_key: bytes,
        pin: bytes | None,
        now: float,
        wake: Callable[[Connection], object],
    ) -> None:
        self.id = number
        self.dialed = dialed
        self.server_key = server_key
        self.connected = False
        self.ended = False
        self.last_heard = now
        self.last_words: list[tuple[bytes, Address]] = []
        self._quic = quic
        self._pin = pin
        self._wake = wake
        self._events: list[Event] = [CidIssued(quic.host_cid)]
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._stream_open = False
        self._bulk: dict[int, bool] = {}  # streams of ours that have not ended, and whether there is room on them
        self._awaits_grant = False
        self._unanswered = 0
        self._pinged = now
        self._handshake_deadline = now + DIAL_TIMEOUT_S
        self._verdict: Closed | None = None

    @classmethod
    def dial(
        cls,
        config: QuicConfiguration,
        address: Address,
        number: int,
        *,
        pin: bytes | None,
        now: float,
        wake: Callable[[Connection], object],
    ) -> Connection:
        """Open towards `address`; with a pin, `connected` is reached only by that raw Ed25519 server key."""
        quic = private.BoundedQuicConnection(config)
        connection = cls(quic, number, dialed=True, server_key=b"", pin=pin, now=now, wake=wake)
        quic.connect(address, now)
        return connection

    @classmethod
    def accept(
        cls,
        config: QuicConfiguration,
        original_cid: bytes,
        number: int,
        *,
        server_key: bytes,
        now: float,
        wake: Callable[[Connection], object],
        told_cid: bytes = b"",
    ) -> Connection:
        """The answering side of an Initial, which is to be fed to it next.

        It is addressed to `original_cid`, which the dialer chose, or to the `told_cid` that it was told in a Retry.
        """
        quic = private.BoundedQuicConnection(config, original_cid, told_cid)
        connection = cls(quic, number, dialed=False, server_key=server_key, pin=None, now=now, wake=wake)
        connection._events.append(CidIssued(told_cid or original_cid))
        return connection

    @property
    def address(self) -> Address:
        """Where the peer is now; it may move. ("", 0) before the first datagram of an accepted connection."""
        return self._quic.get_peer_address() or ("", 0)

    def send(self, data: bytes) -> None:
        """Append to the message stream; a closed one ignores it. Beyond SEND_BACKLOG_BYTES it closes."""
        if self._verdict is not None or self.ended:
            return
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)
        if self.backlog() > SEND_BACKLOG_BYTES:
            self._end(CLOSE_FLOOD, "the send backlog passed its bound")
        self._wake(self)

    def backlog(self) -> int:
        """Bytes sent by the owner that the peer's QUIC has not acknowledged."""
        return self._outgoing_bytes + private.send_backlog(self._quic)

    def kept(self) -> int:
        """Bytes from the peer that wait for the bytes before them."""
        return private.reassembly_bytes(self._quic)

    def hold(self, held: bool) -> None:
        """While held, the peer is granted no more of the stream than the window it has."""
        self._quic.withheld = held
        self._wake(self)

    # --- bulk streams ---

    def grant_bulk(self, count: int) -> None:
        """Let the peer open so many bulk streams that it did not open yet."""
        bulk_streams.grant(self._quic, count)
        self._wake(self)

    def open_bulk(self) -> int | None:
        """The number of a new bulk stream; None where the peer has not granted one: BulkGranted tells once it has."""
        if not bulk_streams.has_grant(self._quic):
            self._awaits_grant = True
            return None
        number = bulk_streams.open_stream(self._quic)
        self._bulk[number] = True
        return number

    def send_bulk(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Append to a bulk stream of ours; one that has ended ignores it. The owner heeds BulkRoom."""
        if self._verdict is not None or self.ended or bulk_streams.backlog(self._quic, stream) is None:
            return
        self._quic.send_stream_data(stream, data, end)
        self._bulk[stream] = False
        self._wake(self)

    def bulk_backlog(self, stream: int) -> int:
        """Bytes sent on a bulk stream of ours that the peer's QUIC has not acknowledged; 0 once it has ended."""
        return bulk_streams.backlog(self._quic, stream) or 0

    def consumed(self, stream: int, count: int) -> None:
        """So many bytes of a bulk stream of the peer were worked off."""
        bulk_streams.consume(self._quic, stream, count)
        self._wake(self)

    def end_bulk(self, stream: int, code: int) -> None:
        """Give a bulk stream up, ours or the peer's; nothing more is told of it."""
        self._bulk.pop(stream, None)
        bulk_streams.end(self._quic, stream, code)
        self._wake(self)

    def close(self, code: int = CLOSE_OK, reason: str = "") -> None:
        """End the connection and tell the peer why; `Closed` follows as an event."""
        self._end(code, reason)
        self._wake(self)

    # --- for the owner: the endpoint, or a simulated network ---

    def receive(self, data: bytes, address: Address, now: float) -> None:
        """One datagram addressed to this connection. Hostile bytes never raise."""
        if self.ended:
            return
        idle_before = private.idle_deadline(self._quic)
        try:
            self._quic.receive_datagram(data, address, now)
        except Exception:  # whatever a hostile packet breaks inside aioquic costs only its own connection
            log.exception("connection %d: a datagram from %s broke the QUIC state", self.id, address[0])
            self._end(CLOSE_PROTOCOL, "unreadable packet")
            return
        if private.idle_deadline(self._quic) != idle_before:
            self.last_heard = now
            self._unanswered += 1

    def events(self) -> list[Event]:
        """Events since the last call, in order; adjacent stream data is one event."""
        if not self.ended:
            self._pull()
        events, self._events = self._events, []
        return events

    def datagrams(self, now: float) -> list[tuple[bytes, Address]]:
        """The datagrams to send now, each with its address."""
        if self.ended:
            return []
        try:
            if self._outgoing or self._unanswered >= ACK_EVERY:
                private.hasten_ack(self._quic)
            self._write_outgoing()
            if self._bulk:
                bulk_streams.messages_first(self._quic)
            datagrams = self._quic.datagrams_to_send(now) if private.has_path(self._quic) else []
        except Exception:  # as in `receive`; a connection that cannot even say goodbye falls silent
            log.exception("connection %d: the QUIC state is broken", self.id)
            self._finish(Closed(CLOSE_PROTOCOL, "broken state", by_peer=False, kind="protocol"))
            return []
        if datagrams:
            self._unanswered = 0
            if private.packets_in_flight(self._quic) > PACKETS_IN_FLIGHT:
                self.close(CLOSE_FLOOD, "nothing is acknowledged")
        self._note_ending(datagrams)
        return datagrams

    def deadline(self) -> float | None:
        """When `tick` is due; None once the connection ended."""
        if self.ended:
            return None
        own = self._heartbeat_at() if self.connected else self._handshake_deadline
        timer = self._quic.get_timer()
        return own if timer is None else min(own, timer)

    def tick(self, now: float) -> None:
        """Time passed: retransmit, ping a quiet peer, give up on a silent one."""
        if self.ended:
            return
        timer = self._quic.get_timer()
        if timer is not None and now >= timer:
            self._quic.handle_timer(now + ROUNDING_S)
        if not self.connected and now >= self._handshake_deadline:
            self._end(CLOSE_TIMEOUT, "the handshake took too long")
        elif self.connected and now >= self._heartbeat_at():
            self._pinged = now
            self._quic.send_ping(0)

    # --- private ---

    def _heartbeat_at(self) -> float:
        return max(self.last_heard, self._pinged) + HEARTBEAT_S

    def _stream_is_open(self) -> bool:
        """The dialer opens the stream once the pin matched; the other side may answer on it, not open it."""
        return self._stream_open or (self.dialed and self.connected)

    def _write_outgoing(self) -> None:
        if self._outgoing and self._verdict is None and self._stream_is_open():
            self._quic.send_stream_data(private.MESSAGE_STREAM, b"".join(self._outgoing))
            self._outgoing.clear()
            self._outgoing_bytes = 0

    def _pull(self) -> None:
        """Translate aioquic's events."""
        chunks: list[bytes] = []
        bulk: dict[int, list[bytes]] = {}
        while self._verdict is None and (event := self._quic.next_event()) is not None:
            if type(event) is not quic_events.StreamDataReceived or not self.connected:
                self._take(event)
            elif not private.is_bulk(event.stream_id):
                chunks.append(event.data)
                self._stream_open = True
            else:
                bulk.setdefault(event.stream_id, []).append(event.data)
                if event.end_stream:
                    self._events.append(BulkReceived(event.stream_id, b"".join(bulk.pop(event.stream_id)), end=True))
        if data := b"".join(chunks):
            self._events.append(Received(data))
        self._events += [BulkReceived(stream, b"".join(data), end=False) for stream, data in bulk.items()]
        if self._bulk:
            self._pull_room()
        if self._awaits_grant and bulk_streams.has_grant(self._quic):
            self._awaits_grant = False
            self._events.append(BulkGranted())

    def _pull_room(self) -> None:
        """Tell of bulk streams of ours that can take more, and of those that are through."""
        for stream, has_room in list(self._bulk.items()):
            backlog = bulk_streams.backlog(self._quic, stream)
            if backlog is None:
                del self._bulk[stream]
                self._events.append(BulkSent(stream))
            elif not has_room and 2 * backlog <= BULK_BACKLOG_BYTES:
                self._bulk[stream] = True
                self._events.append(BulkRoom(stream))

    def _take(self, event: quic_events.QuicEvent) -> None:
        match event:
            case quic_events.HandshakeCompleted():
                self._complete()
            case quic_events.ConnectionIdIssued():
                self._events.append(CidIssued(event.connection_id))
            case quic_events.ConnectionIdRetired():
                self._events.append(CidRetired(event.connection_id))
            case quic_events.StreamReset() | quic_events.StopSendingReceived():
                self._bulk.pop(event.stream_id, None)
                self._events.append(BulkStopped(event.stream_id, event.error_code))
            case quic_events.StreamDataReceived():
                self._end(CLOSE_PROTOCOL, "the message stream opens after the handshake")

    def _complete(self) -> None:
        if self.dialed:
            key = private.peer_certificate_key(self._quic)
            if key is None or self._pin not in (None, key):
                self._end(CLOSE_REFUSED, "not the expected server key")
                return
            self.server_key = key
        self.connected = True
        self._events.append(Connected())

    def _end(self, code: int, reason: str) -> None:
        if self._verdict is not None or self.ended:
            return
        reason = reason[:CLOSE_REASON_CHARS]
        self._verdict = Closed(code, reason, by_peer=False, kind=_KINDS.get(code, "closed"))
        self._quic.close(error_code=code, reason_phrase=reason)

    def _note_ending(self, datagrams: list[tuple[bytes, Address]]) -> None:
        """Report the end once, after everything before it was handed out."""
        ending = private.ending(self._quic)
        if ending is None:
            return
        if not ending.by_peer and not ending.silent:
            self.last_words = datagrams
        self._finish(self._verdict or self._judge(ending))

    def _finish(self, closed: Closed) -> None:
        self.ended = True
        self._outgoing.clear()
        self._outgoing_bytes = 0
        self._events.append(closed)

    def _judge(self, ending: private.Ending) -> Closed:
        if ending.silent:
            return Closed(CLOSE_TIMEOUT, "the peer fell silent", by_peer=False, kind="timeout")
        kind: ClosedKind
        if not self.connected and ending.by_peer:
            kind = "refused"
        elif ending.application:
            kind = _KINDS.get(ending.code, "closed")
        else:
            kind = "protocol" if ending.code else "closed"
        return Closed(ending.code, ending.reason[:CLOSE_REASON_CHARS], ending.by_peer, kind)
