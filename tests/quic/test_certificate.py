"""The node's certificate."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from p2p_agents.quic.certificate import NodeCertificate, certificate_key

SEED = bytes(range(32))


def test_one_seed_makes_one_certificate():
    first, second = NodeCertificate.from_seed(SEED), NodeCertificate.from_seed(SEED)
    assert first.public == second.public
    assert first.tls_certificate.public_bytes(Encoding.DER) == second.tls_certificate.public_bytes(Encoding.DER)
    assert len(first.public) == 32
    assert NodeCertificate.from_seed(bytes(32)).public != first.public


def test_it_is_signed_by_its_own_key():
    certificate = NodeCertificate.from_seed(SEED).tls_certificate
    certificate.verify_directly_issued_by(certificate)
    assert certificate.public_key().public_bytes_raw() == NodeCertificate.from_seed(SEED).public


@pytest.mark.parametrize("seed", [b"", bytes(31), bytes(33)])
def test_a_seed_has_32_bytes(seed):
    with pytest.raises(ValueError, match="32 bytes"):
        NodeCertificate.from_seed(seed)


def test_the_seed_is_not_in_the_repr():
    assert SEED.hex() not in repr(NodeCertificate.from_seed(SEED))


def test_the_key_of_a_certificate_can_be_compared():
    own = NodeCertificate.from_seed(SEED)
    assert certificate_key(own.tls_certificate.public_bytes(Encoding.DER)) == own.public


@pytest.mark.parametrize("der", [b"", b"0", bytes(64)])
def test_what_is_no_certificate_has_no_key(der):
    assert certificate_key(der) is None
