"""The signed statements of a link: OPEN, HELLO, SYNC, RESET and REQUEST, each a CBOR array under its own label.

The server key that they name is the one TLS proved on this connection, and the peer's challenge was drawn by the peer
for this link: a hello is worth nothing on another connection (PROTOCOL C2).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import SYNC_TIPS
from p2p_agents.wire.extensions import ExtensionMap, agree
from p2p_agents.wire.frame import PROTOCOL, Lane, LogLength, Regard
from p2p_agents.wire.kinds import Bool, Bytes, Bytes32, Custom, Date, ListOf, Ms, OneOf, PartsOf, Uint, Uint53
from p2p_agents.wire.layout import Layout, Versioned
from p2p_agents.wire.names import AgentKind, AgentName
from p2p_agents.wire.parts import Preview
from p2p_agents.wire.payload import ReadMark
from p2p_agents.wire.route import Routes

OPEN_LABEL = "p2pa/1 open"
HELLO_LABEL = "p2pa/1 hello"
SYNC_LABEL = "p2pa/1 sync"
RESET_LABEL = "p2pa/1 reset"
REQUEST_LABEL = "p2pa/1 request"

OFFER_BYTES = 1216  # an X-Wing public key
CONVERSATIONS = 64  # in one SYNC
SYNC_DEVICES = 64  # authors in one conversation of a SYNC
SYNC_SESSIONS = 4
HEALS = 4


class Role(IntEnum):
    """Who asked for the link, and who answers."""

    OPENER = 0
    ACCEPTOR = 1


Offer = Annotated[bytes, Bytes(OFFER_BYTES)]
Heals = Annotated[tuple[int, ...], ListOf(Uint(), HEALS, label="heal-id")]
Dead = Annotated[bytes, Bytes(0, 32)]  # a session that was given up; empty when there is none
UpTo32 = Annotated[bytes, Bytes(at_most=32)]


@dataclass(frozen=True, slots=True)
class OpenClaims(Versioned):
    """What an OPEN's proof signs; the acceptor knows all of it, so it is compared and never decoded."""

    RULE: ClassVar[str] = "proof"
    server_key: Bytes32
    agent: Annotated[Bytes32, "from"]
    device: Annotated[Bytes32, "from-device"]
    peer: Annotated[Bytes32, "to"]
    challenge: Bytes32
    peer_challenge: Annotated[Bytes32, "node-challenge"]
    link: Lane


@dataclass(frozen=True, slots=True)
class HelloClaims(Versioned):
    RULE: ClassVar[str] = "signed"
    WHAT: ClassVar[str] = "hello"
    VERSION: ClassVar[int] = PROTOCOL
    role: Annotated[Role, OneOf(Role)]
    server_key: Bytes32
    agent: Bytes32
    device: Bytes32
    peer: Bytes32
    peer_device: Bytes32
    challenge: Bytes32  # drawn by the peer
    own_challenge: Annotated[bytes, Bytes(0, 32)]  # empty for the opener, whose challenge went in OPEN
    head_n: LogLength
    head: Bytes32
    held_n: LogLength  # entries of the peer's identity log held, as a count
    held: UpTo32  # and the hash of the last of them, empty when none
    node: Bytes32  # the TLS key of the speaker's node
    incarnation: Ms
    offer: Offer  # a fresh single-use KEM key
    standing: Regard
    name: AgentName
    kind: AgentKind
    extensions: ExtensionMap


def encode_open(
    server_key: bytes, agent: bytes, device: bytes, peer: bytes, challenge: bytes, peer_challenge: bytes, link: int
) -> bytes:
    return OpenClaims(server_key, agent, device, peer, challenge, peer_challenge, link).encoded()


def encode_hello(claims: HelloClaims) -> bytes:
    return claims.encoded()


def decode_hello(data: bytes) -> HelloClaims:
    """Raises Malformed or UnknownVersion."""
    claims = HelloClaims.decoded(data)
    if bool(claims.own_challenge) is not (claims.role is Role.ACCEPTOR):
        raise Malformed("own challenge belongs in the acceptor's hello, and there only")
    return claims


@dataclass(frozen=True, slots=True)
class SessionView(Layout):
    """One side's count of a session: frames sealed, frames opened, the running hash over the opened."""

    RULE: ClassVar[str] = "session"
    sid: Bytes32
    sent: Uint53
    received: Uint53
    received_hash: Annotated[Bytes32, "H"]
    heals: Heals


@dataclass(frozen=True, slots=True)
class Tip(Layout):
    """The last entry held of one epoch of a device's chain; everything before it is held too."""

    RULE: ClassVar[str] = "tip"
    epoch: Annotated[bytes, Bytes(8)]
    seq: Uint53
    entry: Bytes32


@dataclass(frozen=True, slots=True)
class _Chain(Layout):
    """What is held of one author device."""

    WHAT: ClassVar[str] = "chain"
    device: Bytes32
    tips: Annotated[tuple[Tip, ...], ListOf(Tip, SYNC_TIPS)]


@dataclass(frozen=True, slots=True)
class _Through(Layout):
    """A read mark, beside the conversation that it is of."""

    WHAT: ClassVar[str] = "read"
    device: Bytes32
    epoch: Annotated[bytes, Bytes(8)]
    seq: Uint53


@dataclass(frozen=True, slots=True)
class HeldParts(Layout):
    """A holding as it is sent."""

    RULE: ClassVar[str] = "conversation"
    conversation: Annotated[Bytes32, "id"]
    chains: Annotated[tuple[tuple[bytes, tuple[Tip, ...]], ...], ListOf(PartsOf(_Chain), SYNC_DEVICES)]
    reads: Annotated[tuple[tuple[bytes, bytes, int], ...], ListOf(PartsOf(_Through), SYNC_DEVICES)]


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of one conversation."""

    conversation: bytes
    tips: dict[bytes, tuple[Tip, ...]]  # by author device
    reads: tuple[ReadMark, ...]

    def pack(self) -> list[object]:
        reads = [(r.device, r.epoch, r.seq) for r in self.reads]
        return HeldParts.packed(self.conversation, sorted(self.tips.items()), reads)

    @classmethod
    def unpack(cls, value: Any) -> Holding:
        conversation, chains, reads = HeldParts.parts(value)
        return cls(conversation, dict(chains), tuple([ReadMark(conversation, *each) for each in reads]))


HOLDING = Custom("conversation", Holding.unpack, Holding.pack)


@dataclass(frozen=True, slots=True)
class SyncClaims(Versioned):
    RULE: ClassVar[str] = "sync-claims"
    WHAT: ClassVar[str] = "sync"
    VERSION: ClassVar[int] = PROTOCOL
    agent: Bytes32
    device: Bytes32
    peer: Bytes32
    peer_device: Bytes32
    nonce: UpTo32  # the peer's challenge of this link; over a bridge that of the SYNC this answers, else empty
    challenge: UpTo32  # over a bridge: an answer that names it was written after this
    stamp: Uint53  # rises with every sync of this device
    gen: Uint53  # the highest init generation accepted from the peer's device
    sessions: Annotated[tuple[SessionView, ...], ListOf(SessionView, SYNC_SESSIONS)]
    holdings: Annotated[tuple[Holding, ...], ListOf(HOLDING, CONVERSATIONS)]
    routes: Routes  # where the peer may leave what it cannot deliver
    dead: Dead  # the session given up last whose secrets are still held
    dead_heals: Heals
    reply: Bool  # the sender wants the peer's view too
    extensions: ExtensionMap


def encode_sync(claims: SyncClaims) -> bytes:
    return claims.encoded()


def decode_sync(data: bytes) -> SyncClaims:
    """Raises Malformed or UnknownVersion."""
    claims = SyncClaims.decoded(data)
    agree(claims.extensions)
    return claims


@dataclass(frozen=True, slots=True)
class ResetClaims(Versioned):
    RULE: ClassVar[str] = "reset"
    agent: Bytes32
    device: Bytes32
    peer: Bytes32
    peer_device: Bytes32
    nonce: Bytes32
    offer: Offer
    dead: Dead
    heals: Heals


def encode_reset(claims: ResetClaims) -> bytes:
    return claims.encoded()


def decode_reset(data: bytes) -> ResetClaims:
    """Raises Malformed or UnknownVersion."""
    return ResetClaims.decoded(data)


@dataclass(frozen=True, slots=True)
class RequestClaims(Versioned):
    RULE: ClassVar[str] = "request-claims"
    WHAT: ClassVar[str] = "request"
    agent: Bytes32
    device: Bytes32
    peer: Bytes32
    entry: Bytes32  # the first entry that waits to be delivered
    text: Preview  # of it
    time_ms: Annotated[Date, "time"]


def encode_request(claims: RequestClaims) -> bytes:
    return claims.encoded()


def decode_request(data: bytes) -> RequestClaims:
    """Raises Malformed or UnknownVersion."""
    return RequestClaims.decoded(data)
