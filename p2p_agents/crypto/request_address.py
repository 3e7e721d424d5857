"""Where an agent takes requests, as text that anybody may pass on: P2PA:A/ and base32 of CBOR.

It holds all that a stranger needs to write one sealed request: whose it is, proven by the identity log; the prekey to
seal to, which gives the address its end; and a public queue at a bridge. Nobody can exchange the queue or the name for
another's without the device's key. Whether it is the agent one means, only the person who passed it on can tell.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from p2p_agents.crypto.bundle import Bundle, read_bundle
from p2p_agents.crypto.identity import Identity, replay
from p2p_agents.crypto.oob import unbase32
from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import AddressExpired, BadAddress, BadBridge, BadSeal, Malformed, PeerFault, UnknownVersion
from p2p_agents.limits import REQUEST_ADDRESS_BYTES, REQUEST_ADDRESS_CHARS
from p2p_agents.wire.bridge_address import ADDRESS_CHARS as BRIDGE_CHARS
from p2p_agents.wire.bridge_address import parse_bridge
from p2p_agents.wire.cbor import blob, text
from p2p_agents.wire.kinds import Bytes, Bytes32, Text
from p2p_agents.wire.layout import Versioned
from p2p_agents.wire.names import AgentKind, AgentName, told_kind, told_name
from p2p_agents.wire.parts import Bundle as SignedBundle
from p2p_agents.wire.parts import IdentityLog

PREFIX = "P2PA:A/"
ADDRESS_LABEL = "p2pa/1 address"
KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class AddressClaims(Versioned):
    """What the device signs."""

    RULE: ClassVar[str] = "signed"
    agent: Bytes32
    device: Bytes32
    bridge: Annotated[str, Text(BRIDGE_CHARS)]
    queue: Bytes32
    key: Bytes32 = field(repr=False)
    name: AgentName
    kind: AgentKind


@dataclass(frozen=True, slots=True)
class AddressParts(Versioned):
    """An address as it is passed on."""

    RULE: ClassVar[str] = "address"
    signed: Annotated[bytes, Bytes()]
    entries: IdentityLog
    bundle: SignedBundle


@dataclass(frozen=True, slots=True)
class PublicQueue:
    """Where requests to one agent are left. Building one out of bounds raises Malformed."""

    bridge: str
    queue: bytes
    key: bytes = field(repr=False)  # of the outer seal
    name: str  # as the agent announces itself
    kind: str

    def __post_init__(self) -> None:
        try:
            bridge = parse_bridge(text(self.bridge, at_most=BRIDGE_CHARS, what="bridge"))
        except BadBridge as fault:
            raise Malformed(fault.message) from None
        if str(bridge) != self.bridge:
            raise Malformed("the bridge's address is not in its canonical form")
        blob(self.queue, size=KEY_BYTES, what="queue")
        blob(self.key, size=KEY_BYTES, what="outer key")
        told_name(self.name)
        told_kind(self.kind)


@dataclass(frozen=True, slots=True)
class RequestAddress:
    """A verified address: the device is the agent's, and signed all of it."""

    identity: Identity
    bundle: Bundle
    at: PublicQueue

    @property
    def agent(self) -> bytes:
        return self.identity.agent

    @property
    def device(self) -> bytes:
        return self.bundle.device


def show(key: SigningKey, identity: Identity, bundle: bytes, at: PublicQueue) -> str:
    """The text, some 3,600 characters. None of it is secret. Empty where the identity log is too long for one."""
    said = AddressClaims(identity.agent, key.public, at.bridge, at.queue, at.key, at.name, at.kind)
    shown = AddressParts(key.sign(said.encoded(), ADDRESS_LABEL), identity.entries, bundle).encoded()
    if len(shown) > REQUEST_ADDRESS_BYTES:
        return ""
    return PREFIX + base64.b32encode(shown).decode().rstrip("=")


def is_address(word: str) -> bool:
    """Whether this is meant to be an address rather than a name."""
    return word.lstrip()[: len(PREFIX)].upper() == PREFIX


def read(word: str, now_ms: int) -> RequestAddress:
    """The address that was passed on, in either case, with any line breaks.

    Raises BadAddress, AddressExpired or UnknownVersion.
    """
    joined = "".join(word.split()).upper() if len(word) <= REQUEST_ADDRESS_CHARS else ""
    if not joined.startswith(PREFIX):
        raise BadAddress(f"an agent's address begins with {PREFIX} and has at most {REQUEST_ADDRESS_CHARS} characters")
    try:
        return _parse(unbase32(joined[len(PREFIX) :]), now_ms)
    except UnknownVersion:
        raise
    except BadSeal:
        raise AddressExpired from None
    except PeerFault as fault:
        raise BadAddress(f"the address is damaged or forged: {fault.message}") from fault


def _parse(data: bytes, now_ms: int) -> RequestAddress:
    parts = AddressParts.decoded(data, limit=REQUEST_ADDRESS_BYTES)
    agent, device, at = _signed(parts.signed)
    identity = replay(parts.entries)
    if identity.agent != agent or device not in identity.devices:
        raise Malformed("the identity log is another agent's, or names another device")
    read = read_bundle(parts.bundle, device, now_ms)
    if read.agent != agent:
        raise Malformed("the key bundle is another agent's")
    return RequestAddress(identity, read, at)


def _signed(signed: bytes) -> tuple[bytes, bytes, PublicQueue]:
    """Agent, device, and the place it signed."""
    c = AddressClaims.decoded(unverified_payload(signed))
    verify(c.device, signed, ADDRESS_LABEL)
    return c.agent, c.device, PublicQueue(c.bridge, c.queue, c.key, c.name, c.kind)
