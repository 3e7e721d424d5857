"""Key bundles: a device's prekey, to which a first flight to the absent is sealed (PROTOCOL D1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from p2p_agents.crypto.kem import PUBLIC_BYTES, check_public
from p2p_agents.crypto.signing import SigningKey, verify
from p2p_agents.errors import BadSeal, Malformed
from p2p_agents.wire.kinds import Bytes, Bytes32, Ms
from p2p_agents.wire.layout import Versioned

BUNDLE_LABEL = "p2pa/1 bundle"

_BUNDLE_BYTES = PUBLIC_BYTES + 256  # the other fields take under 100


@dataclass(frozen=True, slots=True)
class Bundle(Versioned):
    """A prekey of `device`, which claims to be `agent`'s. Building one out of bounds raises Malformed."""

    RULE: ClassVar[str] = "bundle"
    CHECKED: ClassVar[bool] = True
    agent: Bytes32
    device: Bytes32
    prekey: Annotated[bytes, Bytes(PUBLIC_BYTES)]
    expires_ms: Annotated[Ms, "expires"]

    def __post_init__(self) -> None:
        self.check()
        check_public(self.prekey)


def sign_bundle(device_key: SigningKey, agent: bytes, prekey_public: bytes, expires_ms: int) -> bytes:
    """A bundle as its device publishes it: COSE_Sign1 bytes."""
    bundle = Bundle(agent, device_key.public, prekey_public, expires_ms)
    return device_key.sign(bundle.encoded(), BUNDLE_LABEL)


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
    bundle = Bundle.decoded(verify(device_public, signed, BUNDLE_LABEL), limit=_BUNDLE_BYTES)
    if bundle.device != device_public:
        raise Malformed("the key bundle names another device than the one that signed it")
    return bundle
