"""The map at the end of some structures."""

from __future__ import annotations

import dataclasses

import pytest

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import EXTENSION_BYTES, EXTENSION_KEYS, FEATURES, INT_MAX, SUITES
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.claims import decode_sync, encode_sync
from p2p_agents.wire.extensions import EXTENSIONS, NOTHING, SPOKEN, Extensions, agree
from p2p_agents.wire.frame import decode_frame, encode_frame
from tests import cddl
from tests.wire.test_claims import KINDS, SYNC
from tests.wire.test_frame import EXAMPLES

read = EXTENSIONS.reader("extensions")
RULE = cddl.RULES.get("6.2", "extensions")
ROOM = EXTENSION_BYTES - len(encode({"x": b""})) - 2  # for bytes under one short key


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"suites": [1]},
        {"features": ["a", "rooms-2"], "suites": [1, 2, INT_MAX]},
        {"features": [], "later": None, "deep": [{"a": 1}], "x": {"y": [True]}},
        {f"k{n}": n for n in range(EXTENSION_KEYS)},
        {"x": bytes(ROOM)},
    ],
)
def test_what_is_not_known_is_ignored(said):
    """A2: a later release may say anything within the bounds."""
    assert RULE(said)
    assert read(said) == Extensions(tuple(said.get("features", ())), tuple(said.get("suites", ())))


@pytest.mark.parametrize(
    "said",
    [
        None,
        [],
        "features",
        {"Features": []},
        {"": 1},
        {"9": 1},
        {"x" * 33: 1},
        {"a b": 1},
        {"features": None},
        {"features": ["Rooms"]},
        {"features": [b"rooms"]},
        {"features": ["x" * 33]},
        {"features": ["b", "a"]},
        {"features": ["a", "a"]},
        {"features": [f"f{n:02}" for n in range(FEATURES + 1)]},
        {"suites": 1},
        {"suites": [-1]},
        {"suites": [True]},
        {"suites": [2, 1]},
        {"suites": [1, 1]},
        {"suites": list(range(SUITES + 1))},
        {f"k{n}": n for n in range(EXTENSION_KEYS + 1)},
        {"x": bytes(ROOM + 1)},
        {"x": [[[1]]]},
        {"x": {"y": {"z": {}}}},
    ],
)
def test_it_is_bounded_where_it_is_parsed(said):
    """A2: in keys, bytes and depth, and known keys hold what they are for."""
    with pytest.raises(Malformed):
        read(said)


@pytest.mark.parametrize("said", [{1: 2}, {b"suites": [1]}, {None: 1}])
def test_keys_are_text(said):
    """A2: as in every other map; others are not even CBOR of this protocol."""
    node = EXAMPLES[0].pack()
    with pytest.raises(Malformed):
        decode_frame(encode([*node[:-1], said]))


def test_a_key_twice_is_refused():
    plain = encode([*EXAMPLES[0].pack()[:-1], {"aa": 1, "ab": 1}])
    with pytest.raises(Malformed):
        decode_frame(plain.replace(b"bab", b"baa"))


def test_every_structure_that_ends_in_one_ignores_what_it_does_not_know():
    for frame in (each for each in EXAMPLES if hasattr(each, "extensions")):
        assert decode_frame(encode([*frame.pack()[:-1], {"later": [1, "x"]}])) == frame
    for example, write, reads in KINDS[:2]:
        fields = decode(write(example))
        assert reads(encode([*fields[:-1], {**fields[-1], "later": [1, "x"]}])) == example


def test_nothing_more_is_said_than_there_is():
    assert encode_frame(EXAMPLES[0])[-1:] == encode({})
    assert (NOTHING.pack(), SPOKEN.pack()) == ({}, {"suites": [1]})


def test_a_suite_that_nobody_here_speaks_is_refused():
    """Downgrade: there is no other to fall back to."""
    for suites in ((), (1,), (1, 2)):
        agree(Extensions(suites=suites))
    with pytest.raises(UnknownVersion):
        agree(Extensions(suites=(2, 3)))
    with pytest.raises(UnknownVersion):
        decode_sync(encode_sync(dataclasses.replace(SYNC, extensions=Extensions(suites=(2,)))))
