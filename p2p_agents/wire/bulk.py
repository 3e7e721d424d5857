"""What a bulk stream begins with, and the codes with which either side gives one up."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar

from p2p_agents.limits import BULK_BYTES, BULK_HEAD_BYTES
from p2p_agents.wire.kinds import Bytes32, Uint
from p2p_agents.wire.layout import Versioned

Size = Annotated[int, Uint(BULK_BYTES)]


@dataclass(frozen=True, slots=True)
class BulkHead(Versioned):
    """Framed as on the message stream; `size - offset` bytes of the body follow it, and then the stream ends."""

    RULE: ClassVar[str] = "bulk-head"
    transfer: Bytes32
    offset: Size
    size: Size

    @classmethod
    def read(cls, payload: bytes) -> BulkHead:
        """Raises Malformed."""
        return cls.decoded(payload, limit=BULK_HEAD_BYTES, items=8)


class BulkEnd(IntEnum):
    """Why a transfer failed. All but GONE may be the error code of RESET_STREAM or STOP_SENDING."""

    DROPPED = 0  # it is not wanted, or not given, any more
    UNKNOWN = 1  # nobody asked for it here
    MALFORMED = 2  # its head, or its length, is not what was announced
    BAD = 3  # a piece of it does not hash as announced
    FULL = 4  # it cannot be written
    STALLED = 5  # it hardly moved for long
    MISSING = 6  # its file is not there, cannot be read, or has another size
    GONE = 7  # the connection ended, or its link


def bulk_end(code: int) -> BulkEnd:
    """What a peer's error code means to us."""
    return BulkEnd(code) if 0 <= code < BulkEnd.GONE else BulkEnd.DROPPED
