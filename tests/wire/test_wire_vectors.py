"""Known answers, frozen: each structure of links and bridges, byte for byte, and what a later release makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.wire.cbor import decode, encode
from tests.vectors.make import LATER, WIRE, wire

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "wire.json").read_text())
EXTENDED = [name for name, vector in VECTORS.items() if "later" in vector]
VERSIONED = [name for name, vector in VECTORS.items() if "before" in vector]


def test_what_is_sent_has_not_changed():
    """A2: only a new version of the protocol may change it."""
    assert wire() == VECTORS


@pytest.mark.parametrize("name", VECTORS)
def test_the_bytes_are_read_and_written_again(name):
    example, write, read = WIRE[name]
    data = bytes.fromhex(VECTORS[name]["bytes"])
    assert read(data) == example
    assert write(read(data)) == data


@pytest.mark.parametrize("name", EXTENDED)
def test_what_a_later_release_says_is_the_same_to_this_one(name):
    """A2: the four structures that end in a map, with keys that nobody here knows."""
    example, _, read = WIRE[name]
    later = bytes.fromhex(VECTORS[name]["later"])
    assert decode(later)[-1].items() >= LATER.items()
    assert read(later) == example


@pytest.mark.parametrize("name", VERSIONED)
def test_what_the_version_before_said_is_refused_as_that(name):
    """A2"""
    _, _, read = WIRE[name]
    with pytest.raises(UnknownVersion):
        read(bytes.fromhex(VECTORS[name]["before"]))


def test_those_that_end_in_a_map_are_these():
    assert sorted(EXTENDED) == ["Greeting", "HelloClaims", "Node", "SyncClaims"]
    assert sorted(VERSIONED) == ["HelloClaims", "Node", "SyncClaims"]


@pytest.mark.parametrize("name", VECTORS)
def test_one_more_element_than_there_is_is_refused(name):
    """A2: what may be added goes into the map, or into a frame of another type."""
    _, _, read = WIRE[name]
    with pytest.raises(Malformed):
        read(encode([*decode(bytes.fromhex(VECTORS[name]["bytes"])), {}]))
