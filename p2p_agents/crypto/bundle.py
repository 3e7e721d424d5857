"""Key bundles: a device's prekey, to which a first flight to the absent is sealed (PROTOCOL D1)."""

from __future__ import annotations

from dataclasses import dataclass

from p2p_agents.crypto.kem import PUBLIC_BYTES, check_public
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.errors import BadSeal, Malformed
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, uint, version

BUNDLE_LABEL = "p2pa/1 bundle"

_BUNDLE_BYTES = PUBLIC_BYTES + 256  # the other fields take under 100


@dataclass(frozen=True, slots=True)
class Bundle:
    """A prekey of `device`, which claims to be `agent`'s. Building one out of bounds raises Malformed."""

    agent: bytes
    device: bytes
    prekey: bytes
    expires_ms: int

    def __post_init__(self) -> None:
        blob(self.agent, size=32, what="agent")
        blob(self.device, size=32, what="device")
        check_public(self.prekey)
        uint(self.expires_ms, what="expires_ms")


def sign_bundle(device_key: SigningKey, agent: bytes, prekey_public: bytes, expires_ms: int) -> bytes:
    """A bundle as its device publishes it: COSE_Sign1 bytes."""
    bundle = Bundle(agent, device_key.public, prekey_public, expires_ms)
    payload = encode([VERSION, bundle.agent, bundle.device, bundle.prekey, bundle.expires_ms])
    return device_key.sign(payload, BUNDLE_LABEL)


def read_bundle(signed: bytes, device_public: bytes, now_ms: int) -> Bundle:
    """The bundle of `device_public`. Raises Malformed, UnknownVersion, BadSignature, or BadSeal when expired."""
    bundle = verify_bundle(signed, device_public)
    if bundle.expires_ms <= now_ms:
        raise BadSeal("the key bundle has expired")
    return bundle


def verify_bundle(signed: bytes, device_public: bytes) -> Bundle:
    """The same from a peer that is connected and proved itself: it holds the key, whatever the clocks say.

    The agent's identity log tells whether the device is the agent's.
    """
    payload = verify(device_public, signed, BUNDLE_LABEL)
    fields = array(decode(payload, limit=_BUNDLE_BYTES), what="bundle")
    version(fields[0] if fields else None)
    bundle = Bundle(*array(fields, 5, what="bundle")[1:])
    if bundle.device != device_public:
        raise Malformed("the key bundle names another device than the one that signed it")
    return bundle
