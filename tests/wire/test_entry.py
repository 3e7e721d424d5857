"""Entries and voids as bytes."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import BODY_BYTES, DATE_MS_MAX, HEADERS_BYTES, INT_MAX, KIND_CHARS, REASON_CHARS
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.entry import (
    FIRST_PREV,
    Claims,
    Void,
    body_hash,
    decode_body,
    decode_claims,
    decode_void,
    encode_body,
    encode_claims,
    encode_void,
)

uints = st.integers(0, INT_MAX)
ids = st.binary(min_size=32, max_size=32)
place = {
    "author": ids,
    "device": ids,
    "conversation": ids,
    "epoch": st.binary(min_size=8, max_size=8),
    "seq": st.integers(1, INT_MAX),
    "prev": ids,
    "lamport": uints,
}
header_values = st.text(max_size=40) | uints | st.binary(max_size=40)
claims_made = st.builds(
    Claims,
    **place,
    time_ms=st.integers(0, DATE_MS_MAX),
    kind=st.text(min_size=1, max_size=KIND_CHARS),
    headers=st.dictionaries(st.text(max_size=20), header_values, max_size=8),
    body_hash=ids,
)
voids_made = st.builds(Void, **place, entry_hash=ids, reason=st.text(max_size=REASON_CHARS))

CLAIMS = Claims(
    b"a" * 32, b"d" * 32, b"c" * 32, b"e" * 8, 1, FIRST_PREV, 7, 1_800_000_000_000, "message", {}, b"h" * 32
)
VOID = Void(b"a" * 32, b"d" * 32, b"c" * 32, b"e" * 8, 1, FIRST_PREV, 7, b"x" * 32, "expired")


@given(claims_made)
def test_claims_come_back(claims):
    assert decode_claims(encode_claims(claims)) == claims


@given(voids_made)
def test_voids_come_back(void):
    assert decode_void(encode_void(void)) == void


@given(st.binary(min_size=16, max_size=16), st.binary(max_size=300))
def test_bodies_come_back(salt, content):
    assert decode_body(encode_body(salt, content)) == content


def test_an_entry_names_its_fields_in_the_documented_order():
    """A1: [v, author, device, conversation, epoch, seq, prev, lamport, time_ms, kind, headers, body_hash]."""
    assert decode(encode_claims(CLAIMS)) == [1, *(getattr(CLAIMS, f.name) for f in fields(Claims))]
    assert decode(encode_void(VOID)) == [1, *(getattr(VOID, f.name) for f in fields(Void))]


def test_unknown_kinds_are_allowed():
    """A2: unknown kinds are stored."""
    assert decode_claims(encode_claims(replace(CLAIMS, kind="x/of-next-year"))).kind == "x/of-next-year"


@pytest.mark.parametrize(
    "change",
    [
        {"author": b"a" * 31},
        {"device": "d" * 32},
        {"conversation": None},
        {"epoch": b"e" * 9},
        {"seq": -1},
        {"seq": 0},
        {"seq": True},
        {"prev": b""},
        {"lamport": INT_MAX + 1},
        {"time_ms": 1.0},
        {"time_ms": DATE_MS_MAX + 1},
        {"kind": ""},
        {"kind": "k" * (KIND_CHARS + 1)},
        {"kind": "\ud800"},
        {"headers": []},
        {"headers": {"a": True}},
        {"headers": {"a": None}},
        {"headers": {"a": -1}},
        {"headers": {"a": ["nested"]}},
        {"headers": {b"a": 1}},
        {"headers": {"a": b"x" * HEADERS_BYTES}},
        {"headers": {f"{i:04}": i for i in range(HEADERS_BYTES)}},
        {"body_hash": b"h" * 33},
    ],
)
def test_claims_out_of_bounds_cannot_be_built(change):
    """A2: all integers on the wire are 0 to 2^53-1."""
    with pytest.raises(Malformed):
        replace(CLAIMS, **change)


def test_a_void_out_of_bounds_cannot_be_built():
    for change in ({"entry_hash": b""}, {"reason": "r" * (REASON_CHARS + 1)}, {"seq": -1}, {"seq": 0}):
        with pytest.raises(Malformed):
            replace(VOID, **change)


@pytest.mark.parametrize("parse", [decode_claims, decode_void])
@given(st.binary(max_size=100) | st.lists(st.none() | uints | ids, max_size=13).map(encode))
def test_garbage_is_refused(parse, data):
    with pytest.raises((Malformed, UnknownVersion)):
        parse(data)


@given(st.binary(max_size=100) | st.lists(st.none() | uints | ids, max_size=13).map(encode))
def test_a_garbled_body_is_refused_or_holds_bytes(data):
    try:
        assert isinstance(decode_body(data), bytes)
    except Malformed:
        return


def test_another_version_is_refused_as_such():
    fields_of_two = [2, *decode(encode_claims(CLAIMS))[1:], "and more to come"]
    with pytest.raises(UnknownVersion):
        decode_claims(encode(fields_of_two))


def test_the_largest_body_fits_and_no_larger_one():
    largest = bytes(BODY_BYTES)
    assert decode_body(encode_body(bytes(16), largest)) == largest
    with pytest.raises(Malformed):
        encode_body(bytes(16), largest + b"x")
    with pytest.raises(Malformed):
        decode_body(encode([bytes(16), largest + b"x"]))
    with pytest.raises(Malformed):
        decode_body(encode([bytes(15), b"yes"]))


def test_the_salt_keeps_equal_bodies_apart():
    assert body_hash(encode_body(bytes(16), b"yes")) != body_hash(encode_body(b"s" * 16, b"yes"))
    with pytest.raises(Malformed):
        encode_body(b"short", b"yes")
