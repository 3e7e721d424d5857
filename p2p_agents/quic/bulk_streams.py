"""Bulk streams of a QUIC connection: unidirectional, each for one transfer (ROOMS K4).

Like `private`, which bounds what comes on them, this is written against private attributes of aioquic 1.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2p_agents.quic.private import MESSAGE_STREAM, BulkReceiver, Granted

if TYPE_CHECKING:
    from aioquic.quic.connection import QuicConnection


def grant(quic: QuicConnection, count: int) -> None:
    """Let the peer have so many bulk streams that it did not open yet. What was granted cannot be taken back."""
    limit = quic._local_max_streams_uni
    assert isinstance(limit, Granted)
    limit.granted = max(limit.granted, limit.used + count)


def has_grant(quic: QuicConnection) -> bool:
    """Whether the peer lets us open a bulk stream."""
    number: int = quic.get_next_available_stream_id(is_unidirectional=True)
    return number // 4 < quic._remote_max_streams_uni


def open_stream(quic: QuicConnection) -> int:
    """A new bulk stream of ours, which the peer granted: to reset another would end the connection."""
    number: int = quic.get_next_available_stream_id(is_unidirectional=True)
    quic._get_or_create_stream_for_send(number)
    return number


def backlog(quic: QuicConnection, number: int) -> int | None:
    """Bytes written to a bulk stream of ours and not acknowledged; None once it has ended."""
    stream = quic._streams.get(number)
    if stream is None or stream.sender.is_finished or stream.sender._reset_error_code is not None:
        return None
    return stream.sender._buffer_stop - stream.sender._buffer_start


def consume(quic: QuicConnection, number: int, count: int) -> None:
    """So many more bytes of a bulk stream of the peer were worked off: as many more may come."""
    stream = quic._streams.get(number)
    if stream is not None and isinstance(stream.receiver, BulkReceiver):
        stream.receiver.consumed += count


def end(quic: QuicConnection, number: int, code: int) -> None:
    """Reset a bulk stream of ours, or have the peer stop one of its; nothing for one that has ended."""
    stream = quic._streams.get(number)
    if stream is None:
        return
    if quic._stream_can_send(number):
        stream.sender.reset(code)
    else:
        stream.receiver.stop(code)


def messages_first(quic: QuicConnection) -> None:
    """What is said goes ahead of what is carried: aioquic serves its streams in turns."""
    quic._streams_queue.sort(key=lambda stream: stream.stream_id != MESSAGE_STREAM)
