"""Pairing messages: hostile until parsed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import PAIRING_MESSAGE_BYTES
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.pairing import (
    Answer,
    Ask,
    Confirm,
    Done,
    Offer,
    Purpose,
    Reason,
    Refuse,
    Reveal,
    decode_message,
    encode_message,
)

nonces, hashes = st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32)
shares, tags = hashes | st.just(b""), hashes | st.binary(min_size=64, max_size=64)
messages = (
    st.builds(Ask, st.text("0123456789ABCDEF", max_size=32), st.sampled_from(Purpose), nonces)
    | st.builds(Offer, nonces, shares, hashes)
    | st.builds(Answer, shares, hashes, tags)
    | st.builds(Confirm, tags, st.binary(max_size=200))
    | st.builds(Reveal, st.binary(max_size=200))
    | st.builds(Done, st.binary(max_size=200))
    | st.builds(Refuse, st.sampled_from(Reason))
)


@given(messages)
def test_what_is_packed_is_unpacked(message):
    assert decode_message(encode_message(message)) == message


def test_messages_as_they_cross_the_wire():
    assert encode_message(Ask("7Q2M0", Purpose.CONTACT, bytes(16))) == encode([1, 0, "7Q2M0", "contact", bytes(16)])
    assert encode_message(Refuse(Reason.TAKEN)) == encode([1, 6, "taken"])


def test_another_version_is_refused():
    for value in (0, 2, True, "1"):
        with pytest.raises(UnknownVersion):
            decode_message(encode([value, 6, "taken"]))


def test_a_reason_nobody_knows_is_a_refusal_still():
    assert decode_message(encode([1, 6, "tuesday"])) == Refuse(Reason.BROKEN)


@pytest.mark.parametrize(
    "fields",
    [
        [1],
        [1, 7],
        [1, -1],
        [1, True, bytes(16), b"", bytes(32)],
        [1, 0, "7Q2M0", "marriage", bytes(16)],
        [1, 0, "7Q2M0", ["contact"], bytes(16)],
        [1, 0, "7" * 33, "contact", bytes(16)],
        [1, 0, "7Q2M0", "contact", bytes(15)],
        [1, 0, "7Q2M0", "contact", bytes(16), 0],
        [1, 1, bytes(16), bytes(31), bytes(32)],
        [1, 1, bytes(16), b"", bytes(31)],
        [1, 2, b"", bytes(32), bytes(33)],
        [1, 2, None, bytes(32), bytes(32)],
        [1, 3, bytes(64)],
        [1, 3, bytes(64), "box"],
        [1, 4],
        [1, 4, 1],
        [1, 5, b"", b""],
        [1, 6, "x" * 65],
        [1, 6, 1],
        {},
        [],
    ],
)
def test_other_shapes_are_refused(fields):
    with pytest.raises((Malformed, UnknownVersion)):
        decode_message(encode(fields))


def test_a_message_is_bounded():
    with pytest.raises(Malformed, match=str(PAIRING_MESSAGE_BYTES)):
        decode_message(encode([1, 4, bytes(PAIRING_MESSAGE_BYTES)]))


values = st.recursive(
    st.none() | st.integers(0, 9) | st.binary(max_size=66) | st.text(max_size=9), st.lists, max_leaves=9
)


@given(st.binary(max_size=80) | st.lists(values, max_size=6).map(lambda f: encode([1, *f])))
def test_garbage_is_refused_or_well_formed(data):
    try:
        message = decode_message(data)
    except (Malformed, UnknownVersion):
        return
    assert decode_message(encode_message(message)) == message
