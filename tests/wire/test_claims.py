"""The signed claims of a link, there and back, and hostile until parsed."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.errors import Malformed, UnknownVersion
from p2p_agents.limits import INT_MAX, SYNC_TIPS, TEXT_PREVIEW_BYTES
from p2p_agents.wire import claims
from p2p_agents.wire.cbor import decode, encode
from p2p_agents.wire.claims import OFFER_BYTES, Holding, Role, SessionView, Tip
from p2p_agents.wire.extensions import SPOKEN
from p2p_agents.wire.frame import Standing
from p2p_agents.wire.payload import ReadMark
from p2p_agents.wire.route import Route

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
TIP = Tip(b"e" * 8, 7, C)
HELLO = claims.HelloClaims(
    Role.ACCEPTOR,
    A,
    A,
    B,
    C,
    A,
    B,
    C,
    1,
    A,
    0,
    b"",
    B,
    INT_MAX,
    bytes(OFFER_BYTES),
    Standing.ACCEPTS,
    "alice",
    "codex",
    SPOKEN,
)
SYNC = claims.SyncClaims(
    A,
    B,
    C,
    A,
    nonce=B,
    stamp=2,
    gen=1,
    sessions=(SessionView(A, 1, 2, B, (0, 2)),),
    holdings=(Holding(C, {A: (TIP, Tip(b"f" * 8, 1, A)), B: ()}, (ReadMark(C, A, b"e" * 8, 3),)),),
    reply=True,
    challenge=C,
    routes=(Route("bridge://b:1#k", A, B, C),),
    dead=A,
    dead_heals=(7, 8),
    extensions=SPOKEN,
)
RESET = claims.ResetClaims(A, B, C, A, B, bytes(OFFER_BYTES), b"", (1, 2))
REQUEST = claims.RequestClaims(A, B, C, A, "may I?", 1)
KINDS = [
    (HELLO, claims.encode_hello, claims.decode_hello),
    (SYNC, claims.encode_sync, claims.decode_sync),
    (RESET, claims.encode_reset, claims.decode_reset),
    (REQUEST, claims.encode_request, claims.decode_request),
]
IDS = ["hello", "sync", "reset", "request"]


@pytest.mark.parametrize(("example", "write", "read"), KINDS, ids=IDS)
def test_claims_survive_the_wire(example, write, read):
    assert read(write(example)) == example


@pytest.mark.parametrize(("example", "write", "read"), KINDS, ids=IDS)
def test_every_field_is_checked(example, write, read):
    fields = decode(write(example))
    for place in range(1, len(fields)):
        with pytest.raises(Malformed):
            read(encode([*fields[:place], None, *fields[place + 1 :]]))
    for wrong in (fields[:-1], [*fields, 0], []):
        with pytest.raises(Malformed):
            read(encode(wrong))
    with pytest.raises(UnknownVersion):
        read(encode([3, *fields[1:]]))


@pytest.mark.parametrize(("_", "write", "read"), KINDS, ids=IDS)
@given(data=st.binary(max_size=60))
def test_any_bytes_are_claims_or_refused(_, write, read, data):
    try:
        found = read(data)
    except (Malformed, UnknownVersion):
        return
    assert read(write(found)) == found


def test_a_sync_names_a_bounded_number_of_tips():
    """B1"""
    many = {A: tuple(Tip(n.to_bytes(8, "big"), 1, C) for n in range(SYNC_TIPS + 1))}
    with pytest.raises(Malformed):
        claims.decode_sync(claims.encode_sync(dataclasses.replace(SYNC, holdings=(Holding(C, many, ()),))))


def test_a_preview_is_a_kilobyte_of_utf8():
    """B11: bytes, not characters."""
    fits = dataclasses.replace(REQUEST, text="ü" * (TEXT_PREVIEW_BYTES // 2))
    assert claims.decode_request(claims.encode_request(fits)) == fits
    with pytest.raises(Malformed):
        claims.decode_request(claims.encode_request(dataclasses.replace(REQUEST, text=fits.text + "x")))


def test_an_openers_hello_has_no_challenge_of_its_own():
    """C2: it went in OPEN."""
    opener = dataclasses.replace(HELLO, role=Role.OPENER, own_challenge=b"")
    assert claims.decode_hello(claims.encode_hello(opener)) == opener
    with pytest.raises(Malformed):
        claims.decode_hello(claims.encode_hello(dataclasses.replace(HELLO, role=Role.OPENER)))
