"""Stream bytes that arrive in any order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.quic.reassembly import JOIN_BYTES, Reassembly
from tests.quic.work import lines

BODY = bytes(range(251)) * 200
parts = st.tuples(st.integers(0, 400), st.integers(0, 60))


@given(st.lists(parts, max_size=60))
def test_whatever_the_order_each_byte_is_given_out_once_and_what_is_kept_is_what_came(taken):
    pieces, out, came = Reassembly(), b"", set()
    for offset, size in taken:
        out += pieces.add(offset, BODY[offset : offset + size])
        came.update(range(offset, offset + size))
        assert out == BODY[: pieces.start]
        assert pieces.kept == sum(map(len, pieces._pieces))
        assert pieces.kept == len([place for place in came if place >= pieces.start])
    assert out + pieces.add(pieces.start, BODY[pieces.start : 500]) == BODY[:500]
    assert not len(pieces)


def test_a_far_offset_costs_what_it_brings():
    pieces = Reassembly()
    assert pieces.add(2**40, b"x") == b""
    assert (len(pieces), pieces.kept) == (1, 1)


def test_what_follows_a_piece_joins_it():
    pieces = Reassembly()
    for offset in range(10, 10_000, 10):
        pieces.add(offset, BODY[offset : offset + 10])
    assert len(pieces) == 1
    assert pieces.add(0, BODY[:10]) == BODY[:10_000]


def test_bytes_in_reverse_are_few_pieces_and_no_byte_is_copied_often():
    pieces = Reassembly()
    for offset in range(len(BODY) - 1, 0, -1):
        pieces.add(offset, BODY[offset : offset + 1])
    assert len(pieces) <= len(BODY) // JOIN_BYTES + 1
    assert pieces.add(0, BODY[:1]) == BODY


def test_a_piece_is_added_with_the_same_work_among_many():
    few, many = Reassembly(), Reassembly()
    for offset in range(2, 20, 2):
        few.add(offset, b"x")
    for offset in range(2, 2_000, 2):
        many.add(offset, b"x")
    assert lines(lambda: many.add(5_000, b"x")) == lines(lambda: few.add(5_000, b"x"))
