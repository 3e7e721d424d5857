"""KNOCK: there and back, and hostile until parsed."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, PeerFault, UnknownVersion
from p2p_agents.limits import (
    BUNDLE_BYTES,
    IDENTITY_ENTRIES,
    IDENTITY_ENTRY_BYTES,
    INT_MAX,
    KNOCK_BYTES,
    TEXT_PREVIEW_BYTES,
)
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.frame import decode_frame, encode_frame
from p2p_agents.wire.knock import Knock, KnockClaims, decode_knock, encode_knock
from p2p_agents.wire.names import KIND_RE, NAME_RE
from p2p_agents.wire.route import ROUTES, Route
from tests.wire.test_names import NO_KINDS, NO_NAMES

A, D, P, E = b"a" * 32, b"d" * 32, b"p" * 32, b"e" * 32
HERE = Route("bridge://bridge.example:4433#" + "a" * 52, A, D, P)
SAID = KnockClaims(A, D, P, E, "may I?", 7, (b"entry",), b"bundle", "alice", "codex", (HERE,))

ids = st.binary(min_size=32, max_size=32)
routes = st.builds(Route, st.text(max_size=321), ids, ids, ids)
claims = st.builds(
    KnockClaims,
    ids,
    ids,
    ids,
    ids,
    st.text(max_size=TEXT_PREVIEW_BYTES // 4),
    st.integers(0, INT_MAX),
    st.lists(st.binary(max_size=40), max_size=4).map(tuple),
    st.binary(max_size=40),
    st.from_regex(NAME_RE, fullmatch=True),
    st.from_regex(KIND_RE, fullmatch=True),
    st.lists(routes, max_size=ROUTES).map(tuple),
)


@given(claims)
def test_what_is_said_is_what_is_heard(said):
    assert decode_knock(encode_knock(said)) == said


def test_the_bytes_that_are_signed():
    route = [HERE.bridge, A, D, P]
    fields = [1, A, D, P, E, "may I?", 7, [b"entry"], b"bundle", "alice", "codex", [route]]
    assert decode(encode_knock(SAID)) == fields


def test_the_frame_shows_nothing_but_what_is_sealed():
    assert decode(encode_frame(Knock(b"sealed"))) == [15, 0, b"sealed"]
    assert decode_frame(encode_frame(Knock(bytes(KNOCK_BYTES)))) == Knock(bytes(KNOCK_BYTES))
    for wrong in ([15, 1, b"x"], [15, 0, "x"], [15, 0, b"x", 0], [15, 0, bytes(KNOCK_BYTES + 1)]):
        with pytest.raises(Malformed):
            decode_frame(encode(wrong))


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": A[1:]},
        {"device": A + b"a"},
        {"peer": "p" * 32},
        {"entry": b""},
        {"text": "x" * (TEXT_PREVIEW_BYTES + 1)},
        {"text": "é" * TEXT_PREVIEW_BYTES},
        {"stamp": -1},
        {"stamp": INT_MAX + 1},
        {"stamp": True},
        {"entries": (b"",) * (IDENTITY_ENTRIES + 1)},
        {"entries": (bytes(IDENTITY_ENTRY_BYTES + 1),)},
        {"entries": ("text",)},
        {"bundle": bytes(BUNDLE_BYTES + 1)},
        *({"name": name} for name in NO_NAMES),
        *({"kind": kind} for kind in NO_KINDS),
    ],
    ids=str,
)
def test_beyond_its_bounds_nothing_is_built(changes):
    with pytest.raises(Malformed):
        replace(SAID, **changes)


def test_routes_are_bounded():
    fields = decode(encode_knock(SAID))
    for wrong in ([HERE.pack()] * (ROUTES + 1), [HERE.pack()[:3]], [7], "x"):
        with pytest.raises(Malformed):
            decode_knock(encode([*fields[:-1], wrong]))


def test_another_version_is_refused():
    with pytest.raises(UnknownVersion):
        decode_knock(encode([2, *decode(encode_knock(SAID))[1:]]))


@pytest.mark.parametrize("place", range(1, 12))
def test_a_field_of_another_type_is_malformed(place):
    fields = decode(encode_knock(SAID))
    for wrong in (None, {"a": 1}, -1):
        with pytest.raises(Malformed):
            decode_knock(encode([*fields[:place], wrong, *fields[place + 1 :]]))


def test_too_long_a_request_is_not_read():
    whole = replace(SAID, entries=(bytes(IDENTITY_ENTRY_BYTES),) * 70)
    assert len(encode_knock(whole)) > KNOCK_BYTES
    with pytest.raises(Malformed):
        decode_knock(encode_knock(whole))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data):
    """Fuzz: whatever comes, one documented error."""
    with contextlib.suppress(PeerFault):
        assert encode_knock(decode_knock(data)) == data


@given(st.data())
def test_one_byte_less_or_another_is_refused_or_read_as_it_stands(data):
    """Fuzz near the real thing."""
    good = encode_knock(SAID)
    at = data.draw(st.integers(0, len(good) - 1))
    mutated = good[:at] + bytes([data.draw(st.integers(0, 255))]) + good[at + 1 :]
    for bad in (good[:at], mutated):
        try:
            assert encode_knock(decode_knock(bad)) == bad
        except PeerFault:
            continue
