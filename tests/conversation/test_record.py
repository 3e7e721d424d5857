"""Entries as the log keeps them: written by one side, read by the other."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.conversation.record import MESSAGE, VOID, Place, intact_part, read_item, write_message, write_void
from p2p_agents.crypto.signing import SigningKey
from p2p_agents.errors import BadSignature, Malformed, UnknownVersion
from p2p_agents.wire.cbor import encode
from p2p_agents.wire.entry import ENTRY_LABEL, FIRST_PREV, Claims, body_hash, encode_claims, signed_body_hash
from p2p_agents.wire.payload import Item

KEY = SigningKey.from_seed(b"k" * 32)
PLACE = Place(b"c" * 32, b"e" * 8, 1, FIRST_PREV, 1)


def message(content=b"hello", **how):
    fields = {"salt": bytes(16), "content_type": "text/plain", "reply_to": None, "time_ms": 5} | how
    return write_message(KEY, b"a" * 32, PLACE, content=content, **fields)


def test_what_was_written_is_read():
    """A1"""
    record = message(reply_to=b"r" * 32)
    assert read_item(record.item) == record
    assert record.content == b"hello"
    assert (record.kind, record.type, record.reply_to) == (MESSAGE, "text/plain", b"r" * 32)


@given(st.binary(max_size=2_000), st.sampled_from(["", "text/plain"]), st.sampled_from([None, b"r" * 32]))
def test_a_signed_entry_shows_the_hash_of_its_body_without_being_parsed(content, content_type, reply_to):
    """B4: whoever seals compares each body with what was signed."""
    record = message(content, content_type=content_type, reply_to=reply_to)
    assert signed_body_hash(record.signed) == body_hash(record.body)
    assert intact_part(record.hash, record.item) == record.item
    assert intact_part(record.hash, Item(record.signed, message(b"other").body)) == Item(record.signed, None)
    assert intact_part(b"h" * 32, record.item) is None


def test_a_purged_entry_still_verifies():
    """A1, A5: signature and place need no body."""
    record = dataclasses.replace(message(), body=None)
    assert read_item(record.item) == record
    assert record.content is None


def test_another_body_is_refused():
    """A1"""
    with pytest.raises(BadSignature):
        read_item(Item(message().signed, message(b"other").body))


def test_a_salt_hides_a_guessable_body():
    """A1: two entries of one text have different body hashes."""
    one, other = message(salt=bytes(16)), message(salt=b"s" * 16)
    assert one.hash != other.hash
    assert one.body != other.body


def test_every_byte_is_signed():
    """A1: flipped one by one."""
    signed, body = message().signed, message().body
    for place in range(len(signed)):
        flipped = signed[:place] + bytes([signed[place] ^ 1]) + signed[place + 1 :]
        with pytest.raises((BadSignature, Malformed, UnknownVersion)):
            read_item(Item(flipped, body))


def test_a_void_stands_where_its_entry_stood():
    """B6: same place, same hash, so that what follows still follows."""
    record = message()
    void = read_item(Item(write_void(KEY, record, "expired"), None, void=True))
    assert (void.hash, void.seq, void.prev, void.kind) == (record.hash, record.seq, record.prev, VOID)
    assert void.content is None
    assert read_item(void.item) == void


def test_an_entry_is_no_void_and_a_void_no_entry():
    """A1: a label each."""
    record = message()
    void = write_void(KEY, record, "expired")
    for item in (Item(record.signed, None, void=True), Item(void, None)):
        with pytest.raises((BadSignature, Malformed)):
            read_item(item)


def test_no_entry_calls_itself_a_void():
    """B6: it would be sent on under the wrong label."""
    record = message()
    claims = Claims(b"a" * 32, KEY.public, PLACE.conversation, PLACE.epoch, 1, FIRST_PREV, 1, 5, VOID, {}, record.hash)
    with pytest.raises(Malformed):
        read_item(Item(KEY.sign(encode_claims(claims), ENTRY_LABEL), None))


def test_odd_headers_are_kept_and_not_understood():
    """A2: types and references this version does not know."""
    claims = Claims(
        b"a" * 32,
        KEY.public,
        PLACE.conversation,
        PLACE.epoch,
        1,
        FIRST_PREV,
        1,
        5,
        "poll",
        {"type": 7, "reply_to": b"x"},
        FIRST_PREV,
    )
    record = read_item(Item(KEY.sign(encode_claims(claims), ENTRY_LABEL), None))
    assert (record.kind, record.type, record.reply_to) == ("poll", "", None)


@given(st.binary(max_size=120), st.none() | st.binary(max_size=20), st.booleans())
def test_any_item_is_a_record_or_refused(signed, body, void):
    with pytest.raises((BadSignature, Malformed, UnknownVersion)):
        read_item(Item(signed, body, void))


@given(
    st.recursive(st.none() | st.integers(0, 9) | st.binary(max_size=33) | st.text(max_size=9), st.lists, max_leaves=20)
)
def test_any_signed_value_is_a_record_or_refused(value):
    with pytest.raises((BadSignature, Malformed, UnknownVersion)):
        read_item(Item(KEY.sign(encode(value), ENTRY_LABEL), None))


def test_all_headers_are_kept():
    """A2: those that this version does not know too; a void has none."""
    made = write_message(
        KEY,
        b"a" * 32,
        PLACE,
        content=b"x",
        salt=bytes(16),
        content_type="text/plain",
        reply_to=b"r" * 32,
        time_ms=5,
        headers={"thread": b"t" * 32, "hops": 2, "type": "not this"},
    )
    assert read_item(made.item).headers == {
        "thread": b"t" * 32,
        "hops": 2,
        "type": "text/plain",
        "reply_to": b"r" * 32,
    }
    assert read_item(Item(write_void(KEY, made, "expired"), None, void=True)).headers == {}
