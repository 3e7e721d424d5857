"""Strict CBOR: one value, one encoding."""

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import CBOR_DEPTH, CBOR_ITEMS, INT_MAX
from p2p_agents.wire import cbor
from p2p_agents.wire.cbor import decode, encode

leaves = st.none() | st.booleans() | st.integers(-INT_MAX, INT_MAX) | st.binary(max_size=40) | st.text(max_size=40)
values = st.recursive(
    leaves,
    lambda v: st.lists(v, max_size=5) | st.dictionaries(st.text(max_size=30), v, max_size=5),
    max_leaves=20,
)


def depth(value) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(values.filter(lambda v: depth(v) <= CBOR_DEPTH))
def test_what_was_encoded_is_decoded(value):
    assert decode(encode(value)) == value


@given(st.binary(max_size=200))
def test_garbage_is_a_value_or_malformed(data):
    try:
        value = decode(data)
    except Malformed:
        return
    assert encode(value) == data


@given(values, st.data())
def test_a_flipped_bit_is_another_value_or_malformed(value, data):
    encoded = bytearray(encode(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = decode(bytes(encoded))
    except Malformed:
        return
    assert encode(found) == encoded


HOSTILE = {
    "nothing": b"",
    "deep": b"\x81" * (CBOR_DEPTH + 1) + b"\x00",
    "very deep": b"\x81" * 100_000 + b"\x00",
    "indefinite array": b"\x9f\x01\xff",
    "indefinite bytes": b"\x5f\x41a\xff",
    "indefinite text": b"\x7f\x61a\xff",
    "indefinite map": b"\xbf\xff",
    "long form of a short integer": b"\x18\x01",
    "long form of a short length": b"\x58\x01a",
    "trailing bytes": b"\x01\x02",
    "duplicate keys": b"\xa2\x61a\x01\x61a\x02",
    "unsorted keys": b"\xa2\x61b\x01\x61a\x02",
    "integer key": b"\xa1\x01\x01",
    "bytes key": b"\xa1\x41a\x01",
    "half float": b"\xf9\x00\x00",
    "double": b"\xfb\x3f\xf8" + bytes(6),
    "not a number": b"\xf9\x7e\x00",
    "undefined": b"\xf7",
    "simple value": b"\xe0",
    "simple value 255": b"\xf8\xff",
    "2^53": encode(INT_MAX + 1),
    "-2^53": encode(-INT_MAX - 1),
    "2^64-1": b"\x1b" + b"\xff" * 8,
    "bytes beyond the end": b"\x5b" + b"\x0f" * 8,
    "array beyond the end": b"\x9b" + b"\x0f" * 8,
    "text that is not UTF-8": b"\x62\xc3\x28",
    "text with a surrogate": b"\x63\xed\xa0\x80",
    "break alone": b"\xff",
    "reserved": b"\x1c",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_non_deterministic_tagged_deep_duplicate_trailing_cbor_is_refused(data):
    with pytest.raises(Malformed):
        decode(data)


BY_THE_DECODER = "the CBOR cannot be decoded"  # while reading, before a value was built from it


@pytest.mark.parametrize("data", [b"\x9f\x01\xff", b"\xa2\x61a\x01\x61a\x02", b"\xa1\x01\x01"])
def test_what_the_decoder_can_refuse_it_refuses(data):
    with pytest.raises(Malformed, match=BY_THE_DECODER):
        decode(data)


@pytest.mark.parametrize("tag", [0, 1, 2, 3, 4, 5, 21, 25, 28, 29, 30, 35, 36, 37, 100, 256, 258, 55799, 2**32])
def test_every_tag_is_refused(tag):
    for content in (0, "a", b"\x01", [1, 2], {}):
        with pytest.raises(Malformed, match=BY_THE_DECODER):
            decode(cbor2.dumps(cbor2.CBORTag(tag, content)))


def test_a_collision_key_map_is_refused_before_it_is_built():
    colliding = cbor2.dumps({(2**61 - 1) * i: 0 for i in range(5_000)})
    with pytest.raises(Malformed, match=BY_THE_DECODER):
        decode(colliding)


def test_a_flood_of_small_values_is_refused():
    with pytest.raises(Malformed, match=str(CBOR_ITEMS)):
        decode(encode([0] * CBOR_ITEMS))


def test_a_limit_is_a_limit():
    data = encode(b"12345")
    assert decode(data, limit=len(data)) == b"12345"
    with pytest.raises(Malformed, match="at most 5"):
        decode(data, limit=5)


@given(st.dictionaries(st.text(max_size=300), st.just(0), max_size=8))
def test_maps_are_in_the_order_of_rfc_8949(value):
    encoded_keys = [cbor2.dumps(key) for key in decode(encode(value))]
    assert encoded_keys == sorted(encoded_keys)


def test_errors_do_not_repeat_what_was_sent():
    with pytest.raises(Malformed) as caught:
        decode(encode("secret words") + b"\x00")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "parse",
    [
        lambda v: cbor.array(v, what="it"),
        lambda v: cbor.uint(v, what="it"),
        lambda v: cbor.blob(v, what="it"),
        lambda v: cbor.text(v, at_most=9, what="it"),
        lambda v: cbor.flag(v, what="it"),
    ],
    ids=["array", "uint", "blob", "text", "flag"],
)
def test_a_field_parser_takes_one_type_and_names_the_field(parse):
    refusals = [refusal(parse, value) for value in ([], 1, b"", "", True, None, {}, 1.0)]
    assert refusals.count("") == 1
    assert all(message.startswith("it must be") for message in refusals if message)


def refusal(parse, value) -> str:
    try:
        parse(value)
    except Malformed as error:
        return error.message
    return ""


def test_field_bounds():
    assert cbor.array([1, 2], 1, 2) == [1, 2]
    assert cbor.uint(0) == 0
    assert cbor.uint(INT_MAX) == INT_MAX
    assert cbor.blob(b"ab", size=2, at_most=2) == b"ab"
    assert cbor.text("äb", at_most=2) == "äb"
    refused = [
        lambda: cbor.array([1, 2, 3], 1, 2),
        lambda: cbor.uint(-1),
        lambda: cbor.uint(INT_MAX + 1),
        lambda: cbor.uint(3, at_most=2),
        lambda: cbor.uint(True),
        lambda: cbor.blob(b"abc", size=2),
        lambda: cbor.blob(b"abc", at_most=2),
        lambda: cbor.text("abc", at_most=2),
        lambda: cbor.text("\udc80", at_most=2),
        lambda: cbor.flag(1),
    ]
    for parse in refused:
        with pytest.raises(Malformed):
            parse()


@pytest.mark.parametrize("value", [0, 2, -1, True, 1.0, "1", None, b"\x01", [1]])
def test_downgrade_any_other_version_is_refused(value):
    cbor.version(1)
    with pytest.raises(UnknownVersion):
        cbor.version(value)
