"""Every frame of the link protocol: there and back, and hostile until parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import INT_MAX, LINK_CREDIT_LEAST_BYTES, PAIRING_PLACES, ROSTER_AGENTS
from p2p_agents.wire import frame as frames
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.frame import RosterAgent, Standing, decode_frame, encode_frame

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
ALICE = RosterAgent(A, "alice", "codex", "online")
EXAMPLES = [
    frames.Node(A, INT_MAX, "0.1.0", B, (ALICE,)),
    frames.Open(2, A, B, C, A, 0, b"proof"),
    frames.Open(2, A, B, C, A, 3, b"proof", B),
    frames.Hello(2, b"signed", 0, (b"entry",), b"bundle"),
    frames.Refuse(3, "no_such_agent"),
    frames.Close(3, "ghost"),
    frames.Credit(2, INT_MAX),
    frames.Sync(2, b"x"),
    frames.Init(2, b"x"),
    frames.Data(2, b""),
    frames.Reset(2, b"x"),
    frames.Request(2, b"x"),
    frames.Stand(2, Standing.CLOSED),
    frames.Presence(2, "online", True, 0),
    frames.Node(A, 1, "0.1.0", B, (), ("7Q2MX", "0123456789ABCDEF0123")),
    frames.Pair(7, True, b"message"),
    frames.Pair(0, False, b""),
    frames.Knock(b"sealed"),
    frames.Greeting(b"bundle", (b"entry",), A, ("192.0.2.1:4433", "[2001:db8::1]:4433")),
]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, INT_MAX) | st.binary(max_size=33) | st.text(max_size=33),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_frame_survives_the_wire(frame):
    assert decode_frame(encode_frame(frame)) == frame


def test_an_unknown_type_is_skipped():
    """A2: later versions may add some."""
    for fields in ([], [0], [2], [2, "whatever"], ["no link"], [{"any": None}, []], [-1]):
        assert decode_frame(encode([99, *fields])) is None


def test_a_sealed_frame_is_no_longer_than_half_the_smallest_grant():
    """C1: credit is renewed when half of it is used, so one that is longer could wait for it for ever."""
    assert decode_frame(encode_frame(frames.Data(2, bytes(LINK_CREDIT_LEAST_BYTES // 2)))) is not None
    with pytest.raises(Malformed):
        decode_frame(encode_frame(frames.Data(2, bytes(LINK_CREDIT_LEAST_BYTES // 2 + 1))))


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: type(frame).__name__)
def test_a_frame_of_another_shape_is_malformed(frame):
    fields = frame.pack()
    for wrong in (fields[:-1], [*fields, 0], [fields[0], -1, *fields[2:]], [fields[0], INT_MAX + 1, *fields[2:]]):
        with pytest.raises((Malformed, UnknownVersion)):
            decode_frame(encode(wrong))
    for place in range(2, len(fields)):
        with pytest.raises((Malformed, UnknownVersion)):
            decode_frame(encode([*fields[:place], None, *fields[place + 1 :]]))


def test_another_version_is_refused():
    """No negotiation: NODE is the first frame, and says which protocol."""
    fields = EXAMPLES[0].pack()
    for version in (1, 3):
        with pytest.raises(UnknownVersion):
            decode_frame(encode([0, 0, version, *fields[3:]]))


def test_a_roster_is_bounded():
    with pytest.raises(Malformed):
        decode_frame(encode_frame(frames.Node(A, 1, "x", B, (ALICE,) * (ROSTER_AGENTS + 1))))


def test_places_are_bounded():
    for places in (("X",) * (PAIRING_PLACES + 1), ("X" * 33,)):
        with pytest.raises(Malformed):
            decode_frame(encode_frame(frames.Node(A, 1, "x", B, (), places)))


@pytest.mark.parametrize("fields", [[1, 7, 0, b"x"], [0, 7, 2, b"x"], [0, -1, 0, b"x"], [0, 7, 0, "x"], [0, 7, 0]])
def test_a_pairing_frame_is_the_nodes_and_of_one_side(fields):
    with pytest.raises(Malformed):
        decode_frame(encode([13, *fields]))


@given(st.integers(0, 14), st.lists(values, max_size=7))
def test_any_fields_are_a_frame_or_refused(kind, fields):
    try:
        frame = decode_frame(encode([kind, *fields]))
    except (Malformed, UnknownVersion):
        return
    assert frame is None or decode_frame(encode_frame(frame)) == frame


@given(st.binary(max_size=80))
def test_any_bytes_are_a_frame_or_refused(data):
    try:
        frame = decode_frame(data)
    except (Malformed, UnknownVersion):
        return
    assert frame is None or encode_frame(frame) == data
