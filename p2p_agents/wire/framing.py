"""Stream bytes to whole frames and back: a four-byte big-endian length, then that many bytes.

`Framer` is the only reassembly buffer on the receiving side; it holds at most one frame and what follows it.
"""

from __future__ import annotations

from p2p_agents.errors import Malformed
from p2p_agents.limits import FRAME_BYTES

PREFIX_BYTES = 4


def frame_bytes(payload: bytes) -> bytes:
    """One frame as it travels in the stream."""
    if len(payload) > FRAME_BYTES:
        raise Malformed(f"the frame has {len(payload)} bytes; the limit is {FRAME_BYTES}")
    return len(payload).to_bytes(PREFIX_BYTES, "big") + payload


class Framer:
    """Cuts a byte stream into frames, whatever the pieces it arrives in."""

    __slots__ = ("_buffer", "limit")

    def __init__(self, limit: int = FRAME_BYTES) -> None:
        self._buffer = bytearray()
        self.limit = limit

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that `data` completes, in order. Raises Malformed for a length beyond the limit."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        start, held = 0, len(buffer)
        while held - start >= PREFIX_BYTES:
            size = int.from_bytes(buffer[start : start + PREFIX_BYTES], "big")
            if size > self.limit:
                raise Malformed(f"the frame would have {size} bytes; the limit is {self.limit}")
            end = start + PREFIX_BYTES + size
            if end > held:
                break
            frames.append(bytes(buffer[start + PREFIX_BYTES : end]))
            start = end
        del buffer[:start]
        return frames

    def feed_one(self, data: bytes) -> tuple[bytes, bytes] | None:
        """The first frame and all that follows it, once that is here. Raises Malformed as `feed` does."""
        buffer = self._buffer
        buffer += data
        if len(buffer) < PREFIX_BYTES:
            return None
        size = int.from_bytes(buffer[:PREFIX_BYTES], "big")
        if size > self.limit:
            raise Malformed(f"the frame would have {size} bytes; the limit is {self.limit}")
        end = PREFIX_BYTES + size
        return (bytes(buffer[PREFIX_BYTES:end]), bytes(buffer[end:])) if len(buffer) >= end else None

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._buffer)
