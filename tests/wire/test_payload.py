"""The content of a sealed frame, there and back, and hostile until parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed
from p2p_agents.limits import BATCH_ENTRIES, ECHOES_PER_FRAME, INT_MAX
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.payload import (
    CUT_BYTES,
    CUTS,
    ECHO_BYTES,
    Ack,
    Item,
    Payload,
    ReadMark,
    Verdict,
    decode_payload,
    encode_payload,
)

hashes = st.binary(min_size=32, max_size=32)
numbers = st.integers(0, INT_MAX)
echoes = st.lists(st.binary(min_size=ECHO_BYTES, max_size=ECHO_BYTES), max_size=ECHOES_PER_FRAME).map(tuple)
payloads = st.builds(
    Payload,
    st.none() | st.builds(Ack, numbers, numbers, hashes, st.lists(st.sampled_from(Verdict), max_size=5).map(tuple)),
    st.lists(
        st.builds(Item, st.binary(max_size=20), st.none() | st.binary(max_size=20))
        | st.builds(Item, st.binary(max_size=20), st.none(), st.just(True)),
        max_size=5,
    ).map(tuple),
    st.lists(st.builds(ReadMark, hashes, hashes, st.binary(min_size=8, max_size=8), numbers), max_size=3).map(tuple),
    echoes,
    echoes,
    st.lists(st.binary(max_size=20), max_size=3).map(tuple),
)


@given(payloads)
def test_a_payload_survives_the_wire(payload):
    assert decode_payload(encode_payload(payload)) == payload


def test_what_only_acknowledges_elicits_nothing():
    """B3"""
    mark = ReadMark(bytes(32), bytes(32), bytes(8), 1)
    silent = Payload(Ack(0, 0, bytes(32), (Verdict.STORED,)), reads=(mark,), answers=(bytes(ECHO_BYTES),))
    assert not silent.elicits
    assert Payload(items=(Item(b"", None),)).elicits
    assert Payload(asks=(bytes(ECHO_BYTES),)).elicits


def test_a_verdict_of_a_later_version_is_a_refusal():
    """B3"""
    ack = decode_payload(encode([[0, 0, bytes(32), [0, 250]], [], [], [], []])).ack
    assert ack is not None
    assert ack.verdicts == (Verdict.STORED, Verdict.REFUSED)


def test_as_many_asks_and_answers_as_may_be_sent_can_be_read():
    """B4: or a payload of ours would be malformed."""
    full = tuple(bytes([number]) * ECHO_BYTES for number in range(ECHOES_PER_FRAME))
    assert decode_payload(encode_payload(Payload(asks=full, answers=full))).answers == full


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [None, [], [], []],
        [0, [], [], [], []],
        [[0, 0, bytes(31), []], [], [], [], []],
        [[-1, 0, bytes(32), []], [], [], [], []],
        [None, [[0, b"", None]] * (BATCH_ENTRIES + 1), [], [], []],
        [None, [[0, b""]], [], [], []],
        [None, [[1, b"", b""]], [], [], []],
        [None, [[2, b""]], [], [], []],
        [None, [[False, b"", None]], [], [], []],
        [None, [[True, b""]], [], [], []],
        [None, [], [[bytes(32), bytes(32), bytes(7), 0]], [], []],
        [None, [], [], [[2, bytes(ECHO_BYTES)]], []],
        [None, [], [], [[0, bytes(ECHO_BYTES - 1)]], []],
        [None, [], [], [], [bytes(CUT_BYTES + 1)]],
        [None, [], [], [], [b""] * (CUTS + 1)],
    ],
)
def test_another_shape_is_malformed(fields):
    with pytest.raises(Malformed):
        decode_payload(encode(fields))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_payload_or_malformed(data):
    try:
        payload = decode_payload(data)
    except Malformed:
        return
    assert decode_payload(encode_payload(payload)) == payload
