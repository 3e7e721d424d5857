"""Signatures: COSE_Sign1 (RFC 9052) with EdDSA over Ed25519, and a label as external_aad.

A signature made under one label never verifies under another. Verification covers the payload as received.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nacl.bindings as sodium
import nacl.exceptions

from p2p_agents.errors import BadSignature, Malformed
from p2p_agents.wire.cbor import array, blob, decode, encode

SEED_BYTES = 32
SIGNATURE_BYTES = 64

_PROTECTED = encode({1: -8})  # RFC 9052: alg = EdDSA; the only algorithm


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key pair; `seed` is the secret, 32 bytes."""

    seed: bytes = field(repr=False, compare=False)
    public: bytes
    _secret: bytes = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """The key pair of a 32-byte seed. Raises Malformed for another size."""
        public, secret = sodium.crypto_sign_seed_keypair(blob(seed, size=SEED_BYTES, what="signing seed"))
        return cls(seed, public, secret)

    def sign(self, payload: bytes, label: str) -> bytes:
        """COSE_Sign1 bytes [protected, {}, payload, signature]."""
        signed = sodium.crypto_sign(_to_be_signed(label, payload), self._secret)
        return encode([_PROTECTED, {}, payload, signed[:SIGNATURE_BYTES]])


def verify(public: bytes, signed: bytes, label: str) -> bytes:
    """The payload, signed by `public` under `label`. Raises Malformed or BadSignature."""
    payload, signature = _parts(signed)
    try:
        sodium.crypto_sign_open(signature + _to_be_signed(label, payload), public)
    except (nacl.exceptions.CryptoError, ValueError):  # ValueError: a public key of another size
        raise BadSignature from None
    return payload


def unverified_payload(signed: bytes) -> bytes:
    """The payload, unverified: read it only to learn whose key must verify it. Raises Malformed."""
    return _parts(signed)[0]


def _to_be_signed(label: str, payload: bytes) -> bytes:
    """RFC 9052 section 4.4: the Sig_structure of a COSE_Sign1."""
    return encode(["Signature1", _PROTECTED, label.encode(), payload])


def _parts(signed: bytes) -> tuple[bytes, bytes]:
    protected, unprotected, payload, signature = array(decode(signed), 4, what="COSE_Sign1")
    if protected != _PROTECTED or not _is_empty_map(unprotected):
        raise Malformed("COSE_Sign1 has headers other than alg: EdDSA")
    blob(payload, what="COSE_Sign1 payload")
    return payload, blob(signature, size=SIGNATURE_BYTES, what="COSE_Sign1 signature")


def _is_empty_map(value: Any) -> bool:
    return type(value) is dict and not value
