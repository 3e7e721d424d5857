"""The node's TLS certificate: a wrapper around one Ed25519 key, which peers pin; nothing else in it is read."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

SEED_BYTES = 32
VALID_FROM = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
VALID_TO = datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC)  # RFC 5280 4.1.2.5: no expiry; the pin decides


class NodeCertificate:
    """A self-signed certificate, in memory only. `public` is the raw 32-byte key that TLS proves."""

    __slots__ = ("public", "tls_certificate", "tls_key")

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.tls_key = key
        self.public = key.public_key().public_bytes_raw()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "p2p-agents node")])
        self.tls_certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(VALID_FROM)
            .not_valid_after(VALID_TO)
            .sign(key, None)
        )

    @classmethod
    def from_seed(cls, seed: bytes) -> NodeCertificate:
        """The certificate of a 32-byte seed: the same seed, the same bytes."""
        if len(seed) != SEED_BYTES:
            raise ValueError("a node seed has 32 bytes")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def __repr__(self) -> str:
        return f"NodeCertificate({self.public.hex()})"


def certificate_key(der: bytes) -> bytes | None:
    """The raw Ed25519 key of a certificate; None for another kind of key, or no certificate."""
    try:
        key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None
