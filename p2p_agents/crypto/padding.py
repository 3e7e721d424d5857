"""Padmé padding (Nikitin et al., PETS 2019) with a floor: a length leaks little, a short one nothing."""

from __future__ import annotations

from p2p_agents.errors import Malformed
from p2p_agents.limits import PADDING_FLOOR

_LENGTH_BYTES = 4


def pad(data: bytes, floor: int = PADDING_FLOOR) -> bytes:
    """4-byte big-endian length, data, zeros up to the next Padmé size: at most 12 % more above the floor."""
    size = padded_size(len(data), floor)
    return (len(data).to_bytes(_LENGTH_BYTES, "big") + data).ljust(size, b"\0")


def unpad(padded: bytes, floor: int = PADDING_FLOOR) -> bytes:
    """The data that `pad` made into exactly these bytes. Raises Malformed."""
    end = _LENGTH_BYTES + int.from_bytes(padded[:_LENGTH_BYTES], "big")
    if len(padded) != padded_size(end - _LENGTH_BYTES, floor) or padded.count(0, end) != len(padded) - end:
        raise Malformed("the padding is wrong")
    return padded[_LENGTH_BYTES:end]


def padded_size(size: int, floor: int = PADDING_FLOOR) -> int:
    """Bytes that `size` bytes take when padded."""
    length = max(size + _LENGTH_BYTES, floor)
    exponent = length.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (length + mask) & ~mask
