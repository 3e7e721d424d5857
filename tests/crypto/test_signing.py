"""COSE_Sign1 with labels."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import BadSignature, Malformed
from p2p_agents.wire.cbor import decode, encode

KEY = SigningKey.from_seed(b"s" * 32)
OTHER = SigningKey.from_seed(b"o" * 32)
LABEL = "p2pa/1 test"


@settings(max_examples=30)
@given(st.binary(max_size=300), st.text(max_size=20))
def test_a_signed_payload_comes_back(payload, label):
    signed = KEY.sign(payload, label)
    assert verify(KEY.public, signed, label) == payload
    assert unverified_payload(signed) == payload


def test_another_implementation_verifies_it():
    protected, _, payload, signature = decode(KEY.sign(b"words", LABEL))
    structure = encode(["Signature1", protected, LABEL.encode(), payload])
    ed25519.Ed25519PublicKey.from_public_bytes(KEY.public).verify(signature, structure)


def test_an_entry_replayed_under_another_label_or_key_is_refused():
    signed = KEY.sign(b"words", LABEL)
    with pytest.raises(BadSignature):
        verify(KEY.public, signed, "p2pa/1 other")
    with pytest.raises(BadSignature):
        verify(OTHER.public, signed, LABEL)


def test_flip_any_bit_and_it_is_refused():
    signed = KEY.sign(b"words", LABEL)
    for i in range(len(signed) * 8):
        flipped = bytearray(signed)
        flipped[i // 8] ^= 1 << i % 8
        with pytest.raises((BadSignature, Malformed)):
            verify(KEY.public, bytes(flipped), LABEL)


@pytest.mark.parametrize("public", [b"", bytes(32), b"\x01" + bytes(31), b"\xff" * 32, bytes(33)])
def test_a_degenerate_public_key_verifies_nothing(public):
    for signed in (KEY.sign(b"words", LABEL), encode([b"\xa1\x01\x27", {}, b"words", bytes(64)])):
        with pytest.raises(BadSignature):
            verify(public, signed, LABEL)


@pytest.mark.parametrize(
    "parts",
    [
        [encode({1: -7}), {}, b"words", bytes(64)],  # another algorithm
        [b"", {}, b"words", bytes(64)],
        [encode({1: -8}), {"kid": b"k"}, b"words", bytes(64)],
        [encode({1: -8}), None, b"words", bytes(64)],
        [encode({1: -8}), {}, None, bytes(64)],
        [encode({1: -8}), {}, b"words", bytes(63)],
        [encode({1: -8}), {}, b"words"],
    ],
)
def test_other_shapes_are_malformed(parts):
    for read in (lambda b: verify(KEY.public, b, LABEL), unverified_payload):
        with pytest.raises(Malformed):
            read(encode(parts))


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises((Malformed, BadSignature)):
        verify(KEY.public, data, LABEL)


def test_the_seed_stays_out_of_repr_and_has_one_size():
    assert repr(b"s" * 32) not in repr(KEY)
    assert KEY.public.hex()[:8] not in ("", KEY.seed.hex()[:8])
    with pytest.raises(Malformed):
        SigningKey.from_seed(b"short")
