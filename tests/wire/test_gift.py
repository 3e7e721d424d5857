"""What a newly linked device gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import IDENTITY_ENTRY_BYTES, LINK_FLOORS, PAIRING_MESSAGE_BYTES
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.gift import Floor, Gift, decode_gift, encode_gift

FLOOR = Floor(b"p" * 32, b"d" * 32, b"e" * 8, 7, b"h" * 32, 9)
GIFT = Gift((b"entry 2",), "ask", False, (FLOOR,))


def test_a_gift_is_read_as_it_was_written():
    """E1"""
    assert decode_gift(encode_gift(GIFT)) == GIFT
    floor = [b"p" * 32, b"d" * 32, b"e" * 8, 7, b"h" * 32, 9]
    assert decode(encode_gift(GIFT)) == [1, [b"entry 2"], "ask", False, [floor]]


def test_the_fullest_gift_fits_a_pairing_message():
    floor = Floor(b"p" * 32, b"d" * 32, b"e" * 8, 2**53 - 1, b"h" * 32, 2**53 - 1)
    full = Gift((b"e" * IDENTITY_ENTRY_BYTES,) * 2, "closed", True, (floor,) * LINK_FLOORS)
    assert len(encode_gift(full)) < PAIRING_MESSAGE_BYTES - 1024
    assert decode_gift(encode_gift(full)) == full


@pytest.mark.parametrize(
    "fields",
    [
        [1, [b"e" * (IDENTITY_ENTRY_BYTES + 1)], "ask", False, []],
        [1, [], "x" * 33, False, []],
        [1, [], "ask", 0, []],
        [1, [], "ask", False, [[b"p", b"d" * 32, b"e" * 8, 7, b"h" * 32, 9]]],
        [1, [], "ask", False, [[b"p" * 32, b"d" * 32, b"e" * 8, -7, b"h" * 32, 9]]],
        [1, [], "ask", False, [[]] * (LINK_FLOORS + 1)],
    ],
)
def test_what_is_out_of_bounds_is_refused(fields):
    with pytest.raises(Malformed):
        decode_gift(encode(fields))


def test_another_version_is_refused_as_such():
    with pytest.raises(UnknownVersion):
        decode_gift(encode([2, "anything"]))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_gift_or_malformed(data):
    """A2: fuzzed."""
    try:
        gift = decode_gift(data)
    except (Malformed, UnknownVersion):
        return
    assert encode_gift(gift) == data
