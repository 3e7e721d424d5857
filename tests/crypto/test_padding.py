"""Padmé with a floor."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.padding import pad, padded_size, unpad
from p2p_agents.errors import Malformed
from p2p_agents.limits import PADDING_FLOOR


@given(st.binary(max_size=5_000))
def test_what_was_padded_comes_back(data):
    assert unpad(pad(data)) == data
    assert len(pad(data)) == padded_size(len(data))


def test_padding_hides_length():
    assert {len(pad(bytes(n))) for n in range(PADDING_FLOOR - 3)} == {PADDING_FLOOR}


def test_it_costs_at_most_twelve_percent_and_few_sizes():
    lengths = range(PADDING_FLOOR, 70_000, 7)
    assert all(n + 4 <= padded_size(n) <= 1.12 * (n + 4) for n in lengths)
    assert len({padded_size(n) for n in lengths}) < 150


@given(st.binary(max_size=600))
def test_garbage_is_refused_or_is_a_padding(data):
    try:
        assert pad(unpad(data)) == data
    except Malformed:
        return


@pytest.mark.parametrize(
    "padded",
    [
        b"",
        bytes(3),
        bytes(PADDING_FLOOR - 1),
        bytes(PADDING_FLOOR + 8),
        b"\xff" * 4 + bytes(252),
        bytes(PADDING_FLOOR - 1) + b"\x01",
        (253).to_bytes(4, "big") + bytes(252),
    ],
)
def test_every_length_has_one_padding(padded):
    with pytest.raises(Malformed):
        unpad(padded)
