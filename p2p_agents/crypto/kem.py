"""Hybrid public-key encryption: HPKE base mode (RFC 9180) with X-Wing, HKDF-SHA256 and ChaCha20-Poly1305.

To open a secret sealed here, an attacker must break both X25519 and ML-KEM-768. The library draws the
randomness of an encapsulation itself; everything else is a function of the arguments. Context is bound
through `info`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from p2p_agents.errors import BadSeal, Malformed, NoPostQuantum
from p2p_agents.limits import PARSED_KEYS
from p2p_agents.wire.cbor import blob

SEED_BYTES = 96  # ML-KEM-768 d || z, then the X25519 scalar
PUBLIC_BYTES = 1216  # ML-KEM-768 encapsulation key, then the X25519 point
OVERHEAD_BYTES = 1136  # added by sealing: 1088 + 32 encapsulated, 16 tag

_MLKEM_SEED_BYTES = 64
_MLKEM_PUBLIC_BYTES = 1184
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)


@dataclass(frozen=True, slots=True)
class KemKey:
    """An X-Wing key pair, parsed once and kept; `seed` is the secret, 96 bytes."""

    seed: bytes = field(repr=False, compare=False)
    public: bytes
    _private: hpke.MLKEM768X25519PrivateKey = field(repr=False, compare=False)

    @classmethod
    def from_seed(cls, seed: bytes) -> KemKey:
        """The key pair of a 96-byte seed. Raises Malformed for another size."""
        blob(seed, size=SEED_BYTES, what="KEM seed")
        lattice = mlkem.MLKEM768PrivateKey.from_seed_bytes(seed[:_MLKEM_SEED_BYTES])
        curve = x25519.X25519PrivateKey.from_private_bytes(seed[_MLKEM_SEED_BYTES:])
        public = lattice.public_key().public_bytes_raw() + curve.public_key().public_bytes_raw()
        return cls(seed, public, hpke.MLKEM768X25519PrivateKey(lattice, curve))

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The plaintext that was sealed to this key under `info`. Raises BadSeal."""
        try:
            return _SUITE.decrypt(sealed, self._private, info=info)
        except (InvalidTag, ValueError):  # ValueError: a point the library refuses to compute with
            raise BadSeal from None


_PROBE = x25519.X25519PrivateKey.from_private_bytes(bytes(32))  # any scalar will do: a low-order point gives zero


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """`plaintext` sealed to `public` under `info`, OVERHEAD_BYTES longer. Raises Malformed for a bad key."""
    try:
        return _SUITE.encrypt(plaintext, _parsed(public), info=info)
    except ValueError:  # a low-order X25519 point
        raise Malformed("the KEM public key must not be used") from None


def check_public(public: bytes) -> bytes:
    """`public` when something can be sealed to it (FIPS 203, 7.2; RFC 7748, 6.1). Raises Malformed."""
    _parsed(public)
    return public


def require_post_quantum() -> None:
    """Raises NoPostQuantum where the installed library cannot do ML-KEM-768."""
    try:
        KemKey.from_seed(bytes(SEED_BYTES))
    except UnsupportedAlgorithm:
        raise NoPostQuantum from None


def _parsed(public: bytes) -> hpke.MLKEM768X25519PublicKey:
    return _parse(blob(public, size=PUBLIC_BYTES, what="KEM public key"))


@lru_cache(maxsize=PARSED_KEYS)
def _parse(public: bytes) -> hpke.MLKEM768X25519PublicKey:
    try:
        lattice = mlkem.MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC_BYTES])
        curve = x25519.X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC_BYTES:])
        _PROBE.exchange(curve)
    except ValueError:  # the modulus check, or a low-order point
        raise Malformed("the KEM public key is not well-formed") from None
    return hpke.MLKEM768X25519PublicKey(lattice, curve)
