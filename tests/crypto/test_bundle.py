"""Prekey bundles."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p_agents.crypto.bundle import BUNDLE_LABEL, Bundle, read_bundle, sign_bundle
from p2p_agents.errors import BadSeal, BadSignature, Malformed, UnknownVersion
from p2p_agents.wire.cbor import encode
from tests.crypto.ends import START_MS, End

BOB, MALLORY = End("bob"), End("mallory")
SIGNED = sign_bundle(BOB.key, BOB.party.agent, BOB.offer.public, START_MS)


def test_a_bundle_comes_back_until_it_expires():
    wanted = Bundle(BOB.party.agent, BOB.party.device, BOB.offer.public, START_MS)
    assert read_bundle(SIGNED, BOB.party.device, START_MS - 1) == wanted


def test_an_expired_bundle_is_refused():
    with pytest.raises(BadSeal, match="expired"):
        read_bundle(SIGNED, BOB.party.device, START_MS)


def test_a_swapped_bundle_is_refused():
    theirs = sign_bundle(MALLORY.key, BOB.party.agent, MALLORY.offer.public, START_MS)
    with pytest.raises(BadSignature):
        read_bundle(theirs, BOB.party.device, 0)


def test_a_bundle_re_signed_by_another_is_refused():
    payload = encode([1, BOB.party.agent, BOB.party.device, BOB.offer.public, START_MS])
    stolen = MALLORY.key.sign(payload, BUNDLE_LABEL)
    with pytest.raises(BadSignature):
        read_bundle(stolen, BOB.party.device, 0)
    with pytest.raises(Malformed, match="another device"):
        read_bundle(stolen, MALLORY.party.device, 0)


def test_a_signature_for_another_purpose_is_no_bundle():
    payload = encode([1, BOB.party.agent, BOB.party.device, BOB.offer.public, START_MS])
    with pytest.raises(BadSignature):
        read_bundle(BOB.key.sign(payload, "p2pa/1 hello"), BOB.party.device, 0)


def test_a_bundle_with_a_bad_key_cannot_be_made():
    with pytest.raises(Malformed):
        sign_bundle(BOB.key, BOB.party.agent, b"\xff" * 1216, START_MS)


@given(
    st.binary(max_size=60) | st.lists(st.none() | st.integers(0, 9) | st.binary(max_size=40), max_size=6).map(encode)
)
def test_a_signed_garble_is_refused(payload):
    signed = BOB.key.sign(payload, BUNDLE_LABEL)
    with pytest.raises((Malformed, UnknownVersion)):
        read_bundle(signed, BOB.party.device, 0)


def test_downgrade_another_version_is_refused():
    payload = encode([2, BOB.party.agent, BOB.party.device, BOB.offer.public, START_MS])
    with pytest.raises(UnknownVersion):
        read_bundle(BOB.key.sign(payload, BUNDLE_LABEL), BOB.party.device, 0)
