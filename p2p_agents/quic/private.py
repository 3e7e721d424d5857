"""Every private attribute of aioquic that we rely on, one small function each; each has a contract test.

Written against aioquic 1.7. What this module does, and why:
- the peer's certificate key is read, because pinning it is our whole TLS authentication;
- streams are limited to the one message stream and the bulk streams that we granted, one by one, and the credit of
  each follows what was delivered, or consumed: as shipped, credit doubles whenever half of it was *touched*, so a peer
  could make us allocate without bound (aioquic #589), and every stream that ends allows another;
- what a datagram may make us do is bounded while it is handled: its frames, the pieces and bytes that a stream keeps,
  the TLS messages included, and nothing of it is handled once the connection is ending. As shipped, one-byte frames at
  every other offset cost time quadratic in their number, and a byte at a far offset allocates all bytes before it;
- ranges of what was sent are searched, not walked; acknowledgements that will never be acknowledged are forgotten;
- no more than three times what an unproven address sent goes there, the goodbye included (RFC 9000 section 8.1);
- the unacknowledged send buffer is measured, because `send_stream_data` never refuses (aioquic #328);
- closing is noticed at once, not after the three probe timeouts that ConnectionTerminated takes.
"""

from __future__ import annotations

import logging
import ssl
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import (
    MAX_STREAM_DATA_FRAME_CAPACITY,
    Limit,
    QuicConnection,
    QuicConnectionError,
    QuicConnectionState,
)
from aioquic.quic.events import StreamDataReceived
from aioquic.quic.packet import QuicErrorCode, QuicFrameType, QuicProtocolVersion
from aioquic.quic.rangeset import RangeSet
from aioquic.quic.stream import FinalSizeError, QuicStream, QuicStreamReceiver
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from p2p_agents.limits import (
    ACK_RANGES,
    ACKS_REMEMBERED,
    AMPLIFICATION,
    BULK_STREAMS_OPEN,
    BULK_WINDOW_BYTES,
    CIDS_ISSUED,
    CRYPTO_BYTES,
    DATAGRAM_BYTES,
    DATAGRAM_FRAMES,
    IDLE_TIMEOUT_S,
    KEY_UPDATES,
    PEER_CIDS_REMEMBERED,
    STREAM_PIECES,
    STREAM_WINDOW_BYTES,
)
from p2p_agents.quic.reassembly import Reassembly

if TYPE_CHECKING:
    from aioquic._buffer import Buffer
    from aioquic.quic.connection import NetworkAddress, QuicReceiveContext
    from aioquic.quic.packet import QuicStreamFrame
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace

    from p2p_agents.quic.certificate import NodeCertificate

CID_BYTES = 8
MESSAGE_STREAM = 0  # the first bidirectional stream of the dialer (RFC 9000 section 2.1)
ACK_DELAY_S = 0.02  # an acknowledgement waits for data to ride with; under the 25 ms that aioquic announces
FIN = 0x01  # of a STREAM frame's type
INITIAL_RTT_S = 0.03  # of a LAN: a lost first flight costs 60 ms instead of 200

logging.getLogger("quic").setLevel(logging.ERROR)  # it quotes peers; we say ourselves how connections end


def configuration(*, is_client: bool, alpn: str, certificate: NodeCertificate | None) -> QuicConfiguration:
    """One side's configuration. No session tickets, no 0-RTT, no client certificate, one QUIC version."""
    config = QuicConfiguration(
        is_client=is_client,
        alpn_protocols=[alpn],
        connection_id_length=CID_BYTES,
        idle_timeout=IDLE_TIMEOUT_S,
        max_data=2 * STREAM_WINDOW_BYTES,
        max_stream_data=STREAM_WINDOW_BYTES,
        max_datagram_size=DATAGRAM_BYTES,
        initial_rtt=INITIAL_RTT_S,
        supported_versions=[QuicProtocolVersion.VERSION_1],
        verify_mode=ssl.CERT_NONE,  # CertificateVerify is still checked; the pin decides
    )
    if certificate is not None:
        config.certificate = certificate.tls_certificate
        config.private_key = certificate.tls_key
    return config


class SearchedRanges(RangeSet):
    """A RangeSet that finds its place by bisection; aioquic's walks through all ranges before it."""

    _ranges: list[range]

    def __init__(self) -> None:
        super().__init__()
        self._ranges = vars(self)["_RangeSet__ranges"]

    def add(self, start: int, stop: int | None = None) -> None:
        stop = start + 1 if stop is None else stop
        first = bisect_left(self._ranges, start, key=_STOP)
        after = bisect_right(self._ranges, stop, key=_START)
        if first < after:
            start = min(start, self._ranges[first].start)
            stop = max(stop, self._ranges[after - 1].stop)
        self._ranges[first:after] = [range(start, stop)]

    def subtract(self, start: int, stop: int) -> None:
        first = bisect_right(self._ranges, start, key=_STOP)
        after = bisect_left(self._ranges, stop, key=_START)
        if first < after:
            before, behind = range(self._ranges[first].start, start), range(stop, self._ranges[after - 1].stop)
            self._ranges[first:after] = [rest for rest in (before, behind) if rest]


_START, _STOP = attrgetter("start"), attrgetter("stop")


class BoundedReceiver(QuicStreamReceiver):
    """Keeps received data in few pieces, and of a TLS stream no more than a handshake takes."""

    def __init__(self, stream_id: int | None, most: int | None = None) -> None:
        super().__init__(stream_id, readable=True)
        self.pieces = Reassembly()
        self._most = most

    def starting_offset(self) -> int:
        return self.pieces.start

    def handle_frame(self, frame: QuicStreamFrame) -> StreamDataReceived | None:
        end = frame.offset + len(frame.data)
        if self._most is not None and end > self._most:
            raise QuicConnectionError(QuicErrorCode.CRYPTO_BUFFER_EXCEEDED, QuicFrameType.CRYPTO, "too much TLS")
        self.highest_offset = max(self.highest_offset, end)
        data = self.pieces.add(frame.offset, frame.data)
        if len(self.pieces) > STREAM_PIECES:
            raise _violation(QuicFrameType.STREAM_BASE, "too many gaps")
        return StreamDataReceived(data=data, end_stream=False, stream_id=self._stream_id or 0) if data else None


class BulkReceiver(BoundedReceiver):
    """Of a bulk stream, which ends; its credit follows what its owner has `consumed`."""

    def __init__(self, stream_id: int) -> None:
        super().__init__(stream_id)
        self.consumed = 0
        self.is_unwanted = False  # we asked the peer to stop: what still comes is dropped

    def handle_frame(self, frame: QuicStreamFrame) -> StreamDataReceived | None:
        self._note_end(frame)
        self.highest_offset = max(self.highest_offset, frame.offset + len(frame.data))
        if self.is_finished:
            return None
        if self.is_unwanted:
            self.is_finished = self._final_size is not None
            return None
        data = self.pieces.add(frame.offset, frame.data)
        if len(self.pieces) > STREAM_PIECES:
            raise _violation(QuicFrameType.STREAM_BASE, "too many gaps")
        self.is_finished = self.pieces.start == self._final_size
        if not data and not self.is_finished:
            return None
        return StreamDataReceived(data=data, end_stream=self.is_finished, stream_id=self._stream_id or 0)

    def _note_end(self, frame: QuicStreamFrame) -> None:
        """Where the stream ends never changes (RFC 9000 section 4.5)."""
        end = frame.offset + len(frame.data)
        if self._final_size is not None and (end > self._final_size or (frame.fin and end != self._final_size)):
            raise FinalSizeError("data beyond the end, or another end")
        if frame.fin:
            if end < self.highest_offset:
                raise FinalSizeError("data beyond the end")
            self._final_size = end

    def stop(self, error_code: int = 0) -> None:
        """Ask the peer to stop; nothing more of the stream is kept."""
        if not self.is_finished:
            super().stop(error_code)
            self.is_unwanted, self.pieces = True, Reassembly()
            self.is_finished = self._final_size is not None


class Granted(Limit):
    """How many streams the peer may have opened in all: as many as we granted. aioquic would add one for each that
    ends."""

    granted = 0

    @property
    def value(self) -> int:
        return self.granted

    @value.setter
    def value(self, value: int) -> None:
        """Only `bulk_streams.grant` changes it."""


class _Handlers(dict[int, Any]):
    """aioquic looks every frame up here before it handles it: the place to count it and to refuse it."""

    def __init__(self, quic: BoundedQuicConnection, handlers: dict[int, Any]) -> None:
        super().__init__(handlers)
        self._quic = quic

    def __getitem__(self, kind: int) -> Any:
        self._quic.meter(kind)
        return super().__getitem__(kind)


def _violation(kind: int, reason: str) -> QuicConnectionError:
    return QuicConnectionError(QuicErrorCode.PROTOCOL_VIOLATION, kind, reason)


class BoundedQuicConnection(QuicConnection):
    """A QuicConnection with one endless stream, whose credit follows what was delivered, bulk streams as granted, and
    X25519 alone.

    The work and memory that a datagram costs are bounded by the datagram.
    """

    def __init__(self, config: QuicConfiguration, chosen_cid: bytes | None = None, told_cid: bytes = b"") -> None:
        """An acceptor is given the connection id that the dialer chose, and the one it was told in a Retry, if any."""
        super().__init__(
            configuration=config,
            original_destination_connection_id=chosen_cid,
            retry_source_connection_id=told_cid or None,
        )
        message_streams = self._local_max_streams_bidi
        message_streams.value = message_streams.sent = 0 if config.is_client else 1
        self._local_max_streams_uni = Granted(self._local_max_streams_uni.frame_type, "max_streams_uni", 0)
        self._local_max_stream_data_uni = BULK_WINDOW_BYTES
        self._ack_delay = ACK_DELAY_S
        self.withheld = False  # the owner takes no more for now: the peer may fill its window, and no more
        self._keys_updated = 0  # one to read with and one to send with each time
        self._frames = 0  # of the datagram that is being handled
        self._QuicConnection__frame_handlers = _Handlers(self, vars(self)["_QuicConnection__frame_handlers"])

    # --- receiving ---

    def receive_datagram(self, data: bytes, addr: NetworkAddress, now: float) -> None:
        """As in aioquic, but a connection that is ending receives nothing, even before its goodbye has left."""
        if self._close_event is None:
            self._frames = 0
            super().receive_datagram(data, addr, now)

    def meter(self, kind: int) -> None:
        """A frame is about to be handled. Raises QuicConnectionError, which ends the connection there and then."""
        if self._close_event is not None:
            raise _violation(kind, "the connection is ending")
        self._frames += 1
        if self._frames > DATAGRAM_FRAMES:
            raise _violation(kind, "too many frames in a datagram")

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._supported_groups = [tls.Group.X25519]  # four key shares cost a tenth of the handshake
        for stream in self._crypto_streams.values():
            _bound(stream, CRYPTO_BYTES)

    def _get_or_create_stream(self, frame_type: int, stream_id: int) -> QuicStream:
        stream = super()._get_or_create_stream(frame_type, stream_id)
        return self._bound_bulk(stream) if is_bulk(stream_id) else _bound(stream)

    def _get_or_create_stream_for_send(self, stream_id: int) -> QuicStream:
        stream = super()._get_or_create_stream_for_send(stream_id)
        return self._bound_bulk(stream) if is_bulk(stream_id) else _bound(stream)

    def _bound_bulk(self, stream: QuicStream) -> QuicStream:
        """It has one direction: only that one is of ours."""
        assert stream.stream_id is not None
        if self._stream_can_send(stream.stream_id):
            if not isinstance(stream.sender._pending, SearchedRanges):
                stream.sender._acked, stream.sender._pending = SearchedRanges(), SearchedRanges()
        elif not isinstance(stream.receiver, BulkReceiver):
            self._bound_new()
        return stream

    def _bound_new(self) -> None:
        """A stream of the peer opens all those before it too."""
        theirs = [n for n in self._streams if is_bulk(n) and not self._stream_can_send(n)]
        if len(theirs) > BULK_STREAMS_OPEN:
            raise _violation(QuicFrameType.STREAM_BASE, "too many streams that should have ended")
        for number in theirs:
            if not isinstance(self._streams[number].receiver, BulkReceiver):
                self._streams[number].receiver = BulkReceiver(number)

    def _handle_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        if frame_type & FIN:
            self._refuse_end(frame_type, buf)
        super()._handle_stream_frame(context, frame_type, buf)

    def _handle_reset_stream_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self._refuse_end(frame_type, buf)
        super()._handle_reset_stream_frame(context, frame_type, buf)

    def _handle_stop_sending_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        self._refuse_end(frame_type, buf)
        super()._handle_stop_sending_frame(context, frame_type, buf)

    def _refuse_end(self, frame_type: int, buf: Buffer) -> None:
        """Raises QuicConnectionError where a frame that ends a stream is not about a bulk stream."""
        start = buf.tell()
        if not is_bulk(buf.pull_uint_var()):
            raise _violation(frame_type, "the message stream has no end")
        buf.seek(start)

    def _handle_ack_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        start = buf.tell()
        _, _, ranges = buf.pull_uint_var(), buf.pull_uint_var(), buf.pull_uint_var()
        if ranges > ACK_RANGES:
            raise _violation(frame_type, "too many ranges in an acknowledgement")
        buf.seek(start)
        super()._handle_ack_frame(context, frame_type, buf)

    def _handle_new_connection_id_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        """Numbers of retired ids are kept to recognise repeated frames; the latest suffice."""
        super()._handle_new_connection_id_frame(context, frame_type, buf)
        if len(self._peer_cid_sequence_numbers) > 2 * PEER_CIDS_REMEMBERED:
            self._peer_cid_sequence_numbers = set(sorted(self._peer_cid_sequence_numbers)[-PEER_CIDS_REMEMBERED:])

    def _handle_retire_connection_id_frame(self, context: QuicReceiveContext, frame_type: int, buf: Buffer) -> None:
        if self._host_cid_seq >= CIDS_ISSUED:
            raise _violation(frame_type, "too many connection ids were retired")
        super()._handle_retire_connection_id_frame(context, frame_type, buf)

    def _log_key_updated(self, key_type: str, trigger: str) -> None:
        """Called for each key of ours that changed; the frames of the packet that changed it are refused by `meter`."""
        super()._log_key_updated(key_type, trigger)
        self._keys_updated += trigger == "remote_update"
        if self._keys_updated > 2 * KEY_UPDATES:
            self.close(QuicErrorCode.KEY_UPDATE_ERROR, QuicFrameType.PADDING, "too many key updates")

    # --- sending ---

    def datagrams_to_send(self, now: float) -> list[tuple[bytes, NetworkAddress]]:
        """As in aioquic, within the limit for an unproven address, and without keeping what nobody will acknowledge."""
        datagrams = self._affordable(super().datagrams_to_send(now))
        for space in self._spaces.values():
            self._forget_unanswered(space)
        return datagrams

    def _probe_preferred_address(self) -> None:
        """A server stays where it was dialled: it cannot send us to another address (RFC 9000 section 9.6)."""
        self._remote_preferred_address = None

    def _affordable(self, datagrams: list[tuple[bytes, NetworkAddress]]) -> list[tuple[bytes, NetworkAddress]]:
        """aioquic counts its CONNECTION_CLOSE as sent, but does not check whether it may be sent."""
        unproven = {path.addr: path for path in self._network_paths if not path.is_validated}
        kept = []
        for data, address in reversed(datagrams):
            path = unproven.get(address)
            if path is not None and path.bytes_sent > AMPLIFICATION * path.bytes_received:
                path.bytes_sent -= len(data)
            else:
                kept.append((data, address))
        return kept[::-1]

    def _forget_unanswered(self, space: QuicPacketSpace) -> None:
        """Acknowledgements are not acknowledged by a peer that has nothing else to acknowledge."""
        sent = space.sent_packets
        if len(sent) - space.ack_eliciting_in_flight > ACKS_REMEMBERED:
            for number in [number for number, packet in sent.items() if not packet.in_flight]:
                del sent[number]

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        """Grant a window beyond the delivered offset, in steps of half a window (RFC 9000 section 4.1); of a bulk
        stream beyond what was consumed, and nothing once it is not wanted or of ours."""
        receiver = stream.receiver
        if receiver.is_finished:
            return
        if isinstance(receiver, BulkReceiver):
            reached, window, withheld = receiver.consumed, BULK_WINDOW_BYTES, receiver.is_unwanted
        else:
            reached, window, withheld = receiver.starting_offset(), STREAM_WINDOW_BYTES, self.withheld
        grant = reached + window
        if grant - stream.max_stream_data_local >= window // 2 and not withheld:
            stream.max_stream_data_local = grant
        if stream.max_stream_data_local_sent == stream.max_stream_data_local:
            return
        buf = builder.start_frame(
            QuicFrameType.MAX_STREAM_DATA,
            capacity=MAX_STREAM_DATA_FRAME_CAPACITY,
            handler=self._on_max_stream_data_delivery,
            handler_args=(stream,),
        )
        buf.push_uint_var(stream.stream_id or MESSAGE_STREAM)
        buf.push_uint_var(stream.max_stream_data_local)
        stream.max_stream_data_local_sent = stream.max_stream_data_local


def _bound(stream: QuicStream, most: int | None = None) -> QuicStream:
    """The stream with a receiver and ranges of ours; `most` bytes of it are taken altogether, if given."""
    if not isinstance(stream.receiver, BoundedReceiver):
        stream.receiver = BoundedReceiver(stream.stream_id, most)
        stream.sender._acked, stream.sender._pending = SearchedRanges(), SearchedRanges()
    return stream


def hasten_ack(quic: QuicConnection) -> None:
    """Acknowledge with the next datagram, without waiting for ACK_DELAY_S."""
    space = quic._spaces.get(tls.Epoch.ONE_RTT)
    if space is not None and space.ack_at is not None:
        space.ack_at = 0.0


def peer_certificate_key(quic: QuicConnection) -> bytes | None:
    """The raw Ed25519 key the peer proved in TLS; None for none or another kind of key."""
    certificate = quic.tls._peer_certificate
    key = certificate.public_key() if certificate is not None else None
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None


def send_backlog(quic: QuicConnection) -> int:
    """Bytes of the message stream that were written and not yet acknowledged."""
    stream = quic._streams.get(MESSAGE_STREAM)
    return 0 if stream is None else stream.sender._buffer_stop - stream.sender._buffer_start


def reassembly_bytes(quic: QuicConnection) -> int:
    """Bytes of message and bulk streams that wait for the bytes before them; TLS keeps CRYPTO_BYTES at most."""
    receivers = [stream.receiver for stream in quic._streams.values()]
    return sum(receiver.pieces.kept for receiver in receivers if isinstance(receiver, BoundedReceiver))


def is_bulk(stream_id: int) -> bool:
    """Unidirectional streams are (RFC 9000 section 2.1)."""
    return bool(stream_id & 2)


def packets_in_flight(quic: QuicConnection) -> int:
    """Packets that were sent and are to be acknowledged."""
    return sum(space.ack_eliciting_in_flight for space in quic._spaces.values())


def has_path(quic: QuicConnection) -> bool:
    """Whether the connection knows where to send; one that never saw a good Initial does not."""
    return bool(quic._network_paths)


def idle_deadline(quic: QuicConnection) -> float | None:
    """When the idle timeout strikes. Receiving moves it only when a packet was authentic."""
    return quic._close_at


@dataclass(frozen=True, slots=True)
class Ending:
    """How aioquic ends a connection; without `application`, `code` is the transport's (RFC 9000, 20.1)."""

    code: int
    reason: str
    application: bool
    by_peer: bool
    silent: bool


def ending(quic: QuicConnection) -> Ending | None:
    """The end of the connection, as soon as it is certain; None while it lives."""
    event = quic._close_event
    if event is None:
        return None
    return Ending(
        code=event.error_code,
        reason=event.reason_phrase,
        application=event.frame_type is None,
        by_peer=quic._state is QuicConnectionState.DRAINING,
        silent=quic._state is QuicConnectionState.TERMINATED,
    )
