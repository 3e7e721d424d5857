"""Ids and safety numbers for humans."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.fingerprint import id_text, is_id_prefix, parse_id, safety_number
from p2p_agents.errors import Malformed

ids = st.binary(min_size=32, max_size=32)


@given(ids)
def test_an_id_comes_back_in_either_case(agent):
    text = id_text(agent)
    assert re.fullmatch("[a-z2-7]{52}", text)
    assert parse_id(text) == parse_id(text.upper()) == agent
    assert all(is_id_prefix(text[:n]) for n in range(6, 53))


def test_a_known_id():
    assert id_text(bytes(range(32))) == "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq"


@given(st.text(max_size=60) | st.text("abz27019=AZ ", min_size=52, max_size=52))
def test_garbage_is_refused_or_is_an_id(text):
    try:
        assert id_text(parse_id(text)) == text.lower()
    except Malformed:
        return


def test_one_id_has_one_text():
    text = id_text(bytes(32))
    with pytest.raises(Malformed, match="last character"):
        parse_id(text[:-1] + "b")
    with pytest.raises(Malformed):
        parse_id(text[:-1] + "\u017f")


def test_what_reads_as_an_id_prefix():
    """E5: a petname must not read as an id prefix."""
    assert is_id_prefix("abcdef")
    assert is_id_prefix("ABCDEF")
    for text in ("abcde", "abcde1", "abc-def", "abcdef ", "a" * 53, "", "äbcdefg"):
        assert not is_id_prefix(text)


@given(ids, ids)
def test_a_safety_number_is_the_same_from_both_sides(a, b):
    number = safety_number(a, b)
    assert number == safety_number(b, a)
    assert re.fullmatch(r"\d{5}( \d{5}){11}", number)
    if a != b:
        assert number != safety_number(a, a)


def test_an_id_of_another_size_has_neither():
    with pytest.raises(Malformed):
        id_text(b"short")
    with pytest.raises(Malformed):
        safety_number(bytes(32), bytes(31))
