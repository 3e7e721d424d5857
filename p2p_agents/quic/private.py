"""Every private attribute of aioquic that is relied upon, one small function each; each has a contract test.

Written against aioquic 1.7. What is done here and why:
- the peer's certificate key is read, because pinning it is our whole TLS authentication;
- streams are limited to the one message stream, and its credit follows what was delivered: as shipped, credit
  doubles whenever half of it was *touched*, so a peer could make us allocate without bound (aioquic #589);
- the unacknowledged send buffer is measured, because `send_stream_data` never refuses (aioquic #328);
- closing is noticed at once, not after the three probe timeouts that ConnectionTerminated takes.
"""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aioquic import tls
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import MAX_STREAM_DATA_FRAME_CAPACITY, QuicConnection, QuicConnectionState
from aioquic.quic.packet import QuicFrameType, QuicProtocolVersion
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from p2p_agents.limits import (
    DATAGRAM_BYTES,
    IDLE_TIMEOUT_S,
    STREAM_WINDOW_BYTES,
)

if TYPE_CHECKING:
    from aioquic.quic.packet_builder import QuicPacketBuilder
    from aioquic.quic.recovery import QuicPacketSpace
    from aioquic.quic.stream import QuicStream

    from p2p_agents.quic.certificate import NodeCertificate

CID_BYTES = 8
MESSAGE_STREAM = 0  # the first bidirectional stream of the dialer (RFC 9000 section 2.1)
ACK_DELAY_S = 0.02  # an acknowledgement waits for data to ride with; under the 25 ms that aioquic announces
INITIAL_RTT_S = 0.03  # a LAN's: a lost first flight costs 60 ms instead of 200

logging.getLogger("quic").setLevel(logging.ERROR)  # it quotes peers; how connections end is ours to say


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


class BoundedQuicConnection(QuicConnection):
    """A QuicConnection with one stream, whose credit follows what was delivered, and X25519 alone."""

    def __init__(self, config: QuicConfiguration, original_destination_connection_id: bytes | None = None) -> None:
        super().__init__(configuration=config, original_destination_connection_id=original_destination_connection_id)
        for limit, streams in (
            (self._local_max_streams_bidi, 0 if config.is_client else 1),
            (self._local_max_streams_uni, 0),
        ):
            limit.value = limit.sent = streams
        self._ack_delay = ACK_DELAY_S
        self.withheld = False  # the owner takes no more for now: the peer may fill its window, not beyond

    def _initialize(self, peer_cid: bytes) -> None:
        super()._initialize(peer_cid)
        self.tls._supported_groups = [tls.Group.X25519]  # four key shares cost a tenth of the handshake

    def _write_stream_limits(self, builder: QuicPacketBuilder, space: QuicPacketSpace, stream: QuicStream) -> None:
        """Grant a window beyond the delivered offset, in steps of half a window (RFC 9000 section 4.1)."""
        grant = stream.receiver.starting_offset() + STREAM_WINDOW_BYTES
        if grant - stream.max_stream_data_local >= STREAM_WINDOW_BYTES // 2 and not self.withheld:
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


def hasten_ack(quic: QuicConnection) -> None:
    """What is to be acknowledged is acknowledged by the next datagram, not first when ACK_DELAY_S is over."""
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


def reassembly_gaps(quic: QuicConnection) -> int:
    """Separate ranges of the message stream that wait for what lies before them."""
    stream = quic._streams.get(MESSAGE_STREAM)
    return 0 if stream is None else len(stream.receiver._ranges)


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
