"""The head of a bulk stream, and the codes that end one."""

from __future__ import annotations

import pytest

from p2p_agents.errors import Malformed
from p2p_agents.limits import BULK_BYTES, BULK_HEAD_BYTES
from p2p_agents.wire.bulk import BulkEnd, BulkHead, bulk_end
from p2p_agents.wire.cbor import encode


def test_a_head_is_read_as_it_was_written() -> None:
    head = BulkHead(b"t" * 32, BULK_BYTES - 1, BULK_BYTES)
    assert BulkHead.read(head.encoded()) == head
    assert len(head.encoded()) <= BULK_HEAD_BYTES


@pytest.mark.parametrize(
    "value",
    [
        [1, b"t" * 31, 0, 1],
        [1, b"t" * 32, 0, BULK_BYTES + 1],
        [1, b"t" * 32, -1, 1],
        [1, b"t" * 32, 0],
        [1, b"t" * 32, 0, 1, 2],
        {},
    ],
    ids=["id", "size", "offset", "too few", "too many", "no array"],
)
def test_another_head_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        BulkHead.read(encode(value))


def test_codes_that_nobody_knows_are_read_as_dropped() -> None:
    """A peer cannot make us believe that the connection ended."""
    assert [bulk_end(code) for code in (BulkEnd.BAD, BulkEnd.GONE, 2**61)] == [
        BulkEnd.BAD,
        BulkEnd.DROPPED,
        BulkEnd.DROPPED,
    ]
