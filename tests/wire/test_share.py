"""What devices of one agent tell each other about a contact."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.wire.card import encode_card
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.share import Share, decode_share, encode_share
from tests.wire.test_card import CARD

SHARES = (
    Share(CARD),
    Share(CARD, trust=0),
    Share(CARD, trust=5, petname="robert", renamed=True),
    Share(CARD, petname=None, renamed=True),
)


@pytest.mark.parametrize("share", SHARES)
def test_a_share_is_read_as_it_was_written(share):
    """B9: what is left out did not change."""
    assert decode_share(encode_share(share)) == share


def test_the_bytes_are_those_of_the_page():
    share = Share(CARD, trust=3, petname="robert", renamed=True)
    assert decode(encode_share(share)) == [1, encode_card(CARD), 3, ["robert"]]


@pytest.mark.parametrize("change", [{"trust": 6}, {"petname": "x" * 33, "renamed": True}, {"petname": "robert"}])
def test_bounds_hold_when_it_is_built(change):
    with pytest.raises(Malformed):
        dataclasses.replace(SHARES[0], **change)


@pytest.mark.parametrize("fields", [[1, b"", None, []], [1, encode_card(CARD), -1, []], [1, encode_card(CARD), 1, [1]]])
def test_what_is_none_is_refused(fields):
    with pytest.raises(Malformed):
        decode_share(encode(fields))


def test_two_petnames_or_another_version_are_refused():
    with pytest.raises(Malformed):
        decode_share(encode([1, encode_card(CARD), None, ["a", "b"]]))
    with pytest.raises(UnknownVersion):
        decode_share(encode([2, "anything"]))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_share_or_malformed(data):
    """A2: fuzzed."""
    try:
        share = decode_share(data)
    except (Malformed, UnknownVersion):
        return
    assert encode_share(share) == data
