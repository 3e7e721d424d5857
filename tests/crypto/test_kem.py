"""HPKE with X-Wing."""

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto import kem
from p2p_agents.crypto.kem import OVERHEAD_BYTES, PUBLIC_BYTES, KemKey, require_post_quantum, seal
from p2p_agents.errors import BadSeal, Malformed, NoPostQuantum

KEY = KemKey.from_seed(bytes(range(96)))
SEALED = seal(KEY.public, b"secret", b"info")


def test_what_was_sealed_opens():
    assert KEY.open(SEALED, b"info") == b"secret"
    assert len(SEALED) == len(b"secret") + OVERHEAD_BYTES
    assert len(KEY.public) == PUBLIC_BYTES


def test_wrong_info_or_key_does_not_open():
    with pytest.raises(BadSeal):
        KEY.open(SEALED, b"other info")
    with pytest.raises(BadSeal):
        KemKey.from_seed(bytes(96)).open(SEALED, b"info")


@pytest.mark.parametrize("i", [0, 1000, 1087, 1088, 1119, 1120, -17, -1])
def test_flipped_ciphertext_does_not_open(i):
    flipped = bytearray(SEALED)
    flipped[i] ^= 1
    with pytest.raises(BadSeal):
        KEY.open(bytes(flipped), b"info")


def test_a_ciphertext_with_a_zero_x25519_half_does_not_open():
    with pytest.raises(BadSeal):
        KEY.open(SEALED[:1088] + bytes(32) + SEALED[1120:], b"info")


@given(st.binary(max_size=64) | st.binary(min_size=1136, max_size=1200))
def test_garbage_does_not_open(data):
    with pytest.raises(BadSeal):
        KEY.open(data, b"info")


@pytest.mark.parametrize(
    "public",
    [b"", b"\xff" * PUBLIC_BYTES, bytes(PUBLIC_BYTES - 1), KEY.public + b"\0", KEY.public[:1184] + bytes(32)],
    ids=["empty", "malformed ML-KEM key", "short", "long", "zero X25519 half"],
)
def test_a_malformed_key_is_refused(public):
    with pytest.raises(Malformed):
        seal(public, b"secret", b"info")


@given(st.binary(min_size=PUBLIC_BYTES, max_size=PUBLIC_BYTES))
def test_a_random_key_is_refused_or_well_formed(public):
    try:
        assert kem.check_public(public) == public
    except Malformed:
        return


def test_the_seed_stays_out_of_repr_and_has_one_size():
    assert repr(KEY.seed) not in repr(KEY)
    with pytest.raises(Malformed):
        KemKey.from_seed(bytes(95))


def test_the_cache_of_parsed_keys_is_bounded():
    assert kem._parse.cache_info().maxsize == kem.PARSED_KEYS


def test_start_is_refused_without_post_quantum(monkeypatch):
    """There is no weaker mode."""
    require_post_quantum()

    def unsupported(_: bytes) -> None:
        raise UnsupportedAlgorithm("ML-KEM")

    monkeypatch.setattr(kem.mlkem.MLKEM768PrivateKey, "from_seed_bytes", unsupported, raising=True)
    with pytest.raises(NoPostQuantum):
        require_post_quantum()
