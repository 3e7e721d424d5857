"""Contact cards: what an introducer says about an agent."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import CARD_ADDRESSES, CARD_NODES, IDENTITY_ENTRIES, IDENTITY_ENTRY_BYTES
from p2p_agents.wire.card import Card, Place, decode_card, encode_card
from p2p_agents.wire.cbor import decode, encode

PLACE = Place(b"n" * 32, (("192.0.2.7", 4433), ("2001:db8::7", 4433)))
CARD = Card(b"a" * 32, "alice", "codex", (b"entry 0", b"entry 1"), (PLACE,))


def test_a_card_is_read_as_it_was_written():
    """A1: by anybody who has the page."""
    assert decode_card(encode_card(CARD)) == CARD
    addresses = [[bytes([192, 0, 2, 7]), 4433], [bytes.fromhex("20010db8") + bytes(11) + b"\x07", 4433]]
    said = [1, b"a" * 32, "alice", "codex", [b"entry 0", b"entry 1"], [[b"n" * 32, addresses]]]
    assert decode(encode_card(CARD)) == said


def test_the_fullest_card_fits():
    """E1: what does not fit a body is sent without its log."""
    entries = (b"e" * IDENTITY_ENTRY_BYTES,) * (IDENTITY_ENTRIES - 6)
    place = Place(b"n" * 32, (("2001:db8::7", 4433),) * CARD_ADDRESSES)
    full = dataclasses.replace(CARD, entries=entries, places=(place,) * CARD_NODES)
    assert decode_card(encode_card(full)) == full


@pytest.mark.parametrize(
    "change",
    [
        {"agent": b"a"},
        {"name": "x" * 33},
        {"kind": "x" * 33},
        {"entries": (b"e" * (IDENTITY_ENTRY_BYTES + 1),)},
        {"entries": (b"e",) * (IDENTITY_ENTRIES + 1)},
        {"places": (PLACE,) * (CARD_NODES + 1)},
    ],
)
def test_bounds_hold_when_it_is_built(change):
    with pytest.raises(Malformed):
        dataclasses.replace(CARD, **change)


@pytest.mark.parametrize(
    "address", [("224.0.0.251", 5353), ("ff02::1", 1), ("0.0.0.0", 1), ("255.255.255.255", 1), ("192.0.2.7", 0)]
)
def test_nobody_is_sent_to_groups_or_nowhere(address):
    """E4: a card makes its reader dial, so it names hosts alone."""
    with pytest.raises(Malformed):
        Place(b"n" * 32, (address,))


def test_a_place_has_a_key_and_a_few_addresses():
    for node, addresses in ((b"n", PLACE.addresses), (PLACE.node, ()), (PLACE.node, PLACE.addresses * 3)):
        with pytest.raises(Malformed):
            Place(node, addresses)


def test_a_scope_stays_at_home():
    with pytest.raises(Malformed):
        encode_card(dataclasses.replace(CARD, places=(Place(b"n" * 32, (("fe80::1%1", 1),)),)))


def test_another_version_is_refused_as_such():
    with pytest.raises(UnknownVersion):
        decode_card(encode([2, "anything"]))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_card_or_malformed(data):
    """A2: fuzzed."""
    try:
        decode_card(data)
    except (Malformed, UnknownVersion):
        return
    assert encode_card(decode_card(data)) == data
