"""Every message of the bridge protocol: there and back, and hostile until parsed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import BLOB_BYTES, DELIVERED_BLOBS, FRAME_BYTES, INT_MAX
from p2p_agents.wire import relay_answers as answers
from p2p_agents.wire import relay_requests as requests
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.relay import (
    CREATE_LABEL,
    LOGIN_LABEL,
    READ_LABEL,
    WELCOME_LABEL,
    create_claim,
    decode_message,
    encode_message,
    login_claim,
    read_claim,
)
from p2p_agents.wire.relay_answers import Admission, Refusal, Terms
from p2p_agents.wire.relay_requests import Side

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
TERMS = Terms(Admission.TOKEN, BLOB_BYTES, 1_000, INT_MAX, 14 * 86_400, 18)
EXAMPLES = [
    requests.Knock(A),
    answers.Welcome(A, B, b"proof", "192.0.2.1:4433", TERMS),
    requests.Login(1, A, b"proof", "token"),
    requests.Create(2, A, b"proof", B, True),
    requests.Put(3, A, B, b"blob"),
    requests.Read(4, A, B, b"proof", 17),
    requests.Ack(5, A, INT_MAX),
    requests.Drop(6, A),
    requests.Meet(7, "7Q2MX", Side.JOINER, B),
    requests.Tell(8, "7Q2MX", b"message"),
    requests.Leave(9, "7Q2MX"),
    requests.Stamp(10, A),
    answers.Done(3, 18),
    answers.Fail(3, Refusal.QUOTA, 1_000),
    answers.Deliver(A, ((17, b"one"), (18, b"two"))),
    answers.Told("7Q2MX", b"message"),
    answers.Told("7Q2MX", b"", gone=True),
    answers.Notice(Refusal.RESTARTING, 2_000),
]

values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, INT_MAX) | st.binary(max_size=33) | st.text(max_size=33),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def named(message: object) -> str:
    return type(message).__name__


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_message_survives_the_wire(message):
    assert decode_message(encode_message(message)) == message


def test_an_unknown_type_is_skipped():
    for fields in ([], [0], [0, "whatever"], ["no number"], [-1, {}]):
        assert decode_message(encode([99, *fields])) is None


@pytest.mark.parametrize("message", EXAMPLES, ids=named)
def test_a_message_of_another_shape_is_malformed(message):
    fields = message.pack()
    for wrong in (fields[:-1], [*fields, 0], [fields[0], -1, *fields[2:]], [fields[0], INT_MAX + 1, *fields[2:]]):
        with pytest.raises((Malformed, UnknownVersion)):
            decode_message(encode(wrong))
    for place in range(2, len(fields)):
        with pytest.raises((Malformed, UnknownVersion)):
            decode_message(encode([*fields[:place], {"x": 1}, *fields[place + 1 :]]))


@given(values)
def test_any_value_is_a_message_or_refused(value):
    try:
        decode_message(encode(value))
    except (Malformed, UnknownVersion):
        return


@pytest.mark.parametrize("kind", [0, 1])
def test_another_version_is_refused(kind):
    with pytest.raises(UnknownVersion):
        decode_message(encode([kind, 0, 2, "whatever"]))


@pytest.mark.parametrize("cursors", [(2, 1), (1, 1)])
def test_delivered_cursors_rise(cursors):
    with pytest.raises(Malformed, match="rise"):
        decode_message(encode([18, 0, A, [[cursor, b""] for cursor in cursors]]))


def test_too_much_at_once_is_refused():
    with pytest.raises(Malformed):
        decode_message(encode_message(answers.Deliver(A, tuple((n, b"") for n in range(DELIVERED_BLOBS + 1)))))
    with pytest.raises(Malformed):
        decode_message(encode_message(requests.Put(1, A, B, bytes(BLOB_BYTES + 1))))


def test_the_largest_blob_fits_a_frame():
    assert len(encode_message(requests.Put(INT_MAX, A, B, bytes(BLOB_BYTES)))) < FRAME_BYTES


def test_unknown_ways_are_refused():
    with pytest.raises(Malformed, match="admission"):
        decode_message(encode([1, 0, 1, A, B, b"", "", ["by hand", 1, 1, 1, 1, 1]]))


def test_no_secret_is_shown():
    """Secrets never reach a log."""
    shown = repr([requests.Login(1, A, b"", "hunter2"), requests.Put(1, A, b"s" * 32, b"t" * 9)])
    assert "hunter2" not in shown
    assert "ssss" not in shown
    assert "tttt" not in shown


def test_each_claim_says_another_thing():
    """A proof for one bridge, connection or purpose proves nothing else."""
    said = [
        login_claim(A, B, C),
        create_claim(A, B, C, False),
        create_claim(A, B, C, True),
        read_claim(B, A, C),
        login_claim(A, C, B),
    ]
    assert len(set(said)) == len(said)
    assert len({WELCOME_LABEL, LOGIN_LABEL, CREATE_LABEL, READ_LABEL}) == 4
