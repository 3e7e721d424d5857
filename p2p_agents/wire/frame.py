"""The link protocol: every frame of a connection's message stream and its layout. Version 2.

A frame is a CBOR array [type, link, fields…]. Link 0 speaks for the node; other numbers are lanes of one agent pair,
even when the dialer of the connection opened them, odd when the other side did.

    either   NODE      who lives here, first on every connection and again on change
    opener   OPEN      I am agent A on device D; I want agent B
    acceptor HELLO     proof of B, signed over the opener's challenge      (or REFUSE)
    opener   HELLO     proof of A, signed over the acceptor's challenge    (or CLOSE)
    either   SYNC      what I hold; the first one on a link precedes INIT and DATA
    either   INIT      a new session, sealed to the peer's single-use key
    either   DATA      one sealed frame of a session
    either   CREDIT    you may have sent this many DATA bytes in all
    either   RESET     open a new session to this fresh key
    either   REQUEST   may I write to you; STANDING answers
    either   STANDING  how I regard you changed
    either   PRESENCE  my agent's status and attention
    either   PAIR      a message between the two sides of a pairing code
    either   GREETING  who I am and where I may be reached; in queues only, where nothing was said before
    either   KNOCK     may I write to you, from a stranger; in public queues only
    either   CLOSE     the link ends

Frames of an unknown type are skipped wherever they come, so that later releases may add some, as they may add keys to
the maps that some structures end in (extensions.py). A frame of a known type
that is not laid out as below is Malformed and ends the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, ClassVar, get_args

from p2p_agents.errors import Malformed
from p2p_agents.limits import (
    FRAME_BYTES,
    IDENTITY_ENTRIES,
    PAIRING_MESSAGE_BYTES,
    PAIRING_PLACES,
    ROSTER_AGENTS,
    SESSION_FRAME_BYTES,
)
from p2p_agents.wire.cbor import decode, encode, uint
from p2p_agents.wire.extensions import NOTHING, ExtensionMap
from p2p_agents.wire.greeting import Greeting
from p2p_agents.wire.kinds import Bool, Bytes, Bytes32, Custom, Date, ListOf, Ms, OneOf, Uint, Uint53
from p2p_agents.wire.knock import Knock
from p2p_agents.wire.layout import Layout, Typed
from p2p_agents.wire.names import AgentKind, AgentName
from p2p_agents.wire.parts import PLACE, Bundle, Code, IdentityLog, Word

PROTOCOL = 2
FRAME_ITEMS = 1_024  # values in one frame: a HELLO carries an identity log, a NODE a roster
PAYLOAD = Bytes(at_most=FRAME_BYTES - 256, name="payload")  # room in a frame beside its own fields

Lane = Annotated[int, Uint(name="link")]
Payload = Annotated[bytes, PAYLOAD]
LogLength = Annotated[int, Uint(IDENTITY_ENTRIES)]


# Codes of REFUSE and CLOSE that more than a log reads; the others are those of errors.
NO_SUCH_AGENT = "no_such_agent"  # also said for hidden agents, and by those who blocked the asker
BUSY = "busy"  # one stranger too many
STALLED = "stalled"  # nothing was acknowledged on it for long
GHOST = "ghost"  # the link belonged to an earlier incarnation: ask for it anew


class Standing(IntEnum):
    """How one agent regards another as a correspondent; told in HELLO and STANDING."""

    CLOSED = 0  # takes nothing, not even a request
    ASK = 1  # takes one request
    ACCEPTS = 2  # takes entries


def _is_joiner(side: Any) -> bool:
    """0 is the displayer, 1 the joiner."""
    return uint(side, at_most=1, what="side") == 1


REGARD = OneOf(Standing, "regard")
Regard = Annotated[Standing, REGARD]


@dataclass(frozen=True, slots=True)
class RosterAgent(Layout):
    """One announced agent of a node: a claim until a HELLO proves it."""

    RULE: ClassVar[str] = "roster-agent"
    agent: Bytes32
    name: AgentName
    kind: AgentKind
    status: Word


@dataclass(frozen=True, slots=True)
class Node(Typed):
    TYPE: ClassVar[int] = 0
    NEXT: ClassVar[tuple[int, ...]] = (0, PROTOCOL)
    VERSION_AT: ClassVar[int | None] = 2
    RULE: ClassVar[str] = "node"
    node: Bytes32  # the node's TLS key; proven to the dialer by TLS, a claim to the acceptor
    incarnation: Ms
    program: Code
    challenge: Bytes32  # drawn for this connection; every OPEN to this side signs it
    roster: Annotated[tuple[RosterAgent, ...], ListOf(RosterAgent, ROSTER_AGENTS)]
    places: Annotated[tuple[str, ...], ListOf(PLACE, PAIRING_PLACES, label="place")] = ()  # of codes shown here
    extensions: ExtensionMap = NOTHING


@dataclass(frozen=True, slots=True)
class Open(Typed):
    TYPE: ClassVar[int] = 1
    RULE: ClassVar[str] = "open"
    link: Lane
    frm: Annotated[Bytes32, "from"]
    device: Annotated[Bytes32, "from-device"]
    to: Bytes32
    challenge: Bytes32
    held: LogLength  # entries of the target's identity log
    proof: Annotated[bytes, Bytes(at_most=512)]  # merely naming an agent reveals nothing of how it is regarded
    head: Annotated[bytes, Bytes(at_most=32), "held-head"] = b""  # SHA-256 of the last entry held; empty when none is


@dataclass(frozen=True, slots=True)
class Hello(Typed):
    TYPE: ClassVar[int] = 2
    RULE: ClassVar[str] = "hello"
    link: Lane
    signed: Bundle
    start: LogLength
    entries: IdentityLog  # from position `start` on
    bundle: Bundle


@dataclass(frozen=True, slots=True)
class Refuse(Typed):
    """The OPEN is declined."""

    TYPE: ClassVar[int] = 3
    RULE: ClassVar[str] = "refuse"
    link: Lane
    code: Code


@dataclass(frozen=True, slots=True)
class Close(Typed):
    """The link ends; the connection stays."""

    TYPE: ClassVar[int] = 4
    RULE: ClassVar[str] = "close"
    link: Lane
    code: Code


@dataclass(frozen=True, slots=True)
class Credit(Typed):
    """DATA bytes that may have been sent on this link since it opened, in all."""

    TYPE: ClassVar[int] = 5
    RULE: ClassVar[str] = "credit"
    link: Lane
    total: Uint53


@dataclass(frozen=True, slots=True)
class Sync(Typed):
    TYPE: ClassVar[int] = 6
    RULE: ClassVar[str] = "sync"
    link: Lane
    payload: Annotated[Payload, "sealed"]  # HPKE(signed sync)


@dataclass(frozen=True, slots=True)
class Init(Typed):
    TYPE: ClassVar[int] = 7
    RULE: ClassVar[str] = "init"
    link: Lane
    payload: Annotated[Payload, "init"]  # signed


@dataclass(frozen=True, slots=True)
class Data(Typed):
    TYPE: ClassVar[int] = 8
    RULE: ClassVar[str] = "data"
    link: Lane
    payload: Annotated[bytes, Bytes(at_most=SESSION_FRAME_BYTES), "frame"]  # of a session


@dataclass(frozen=True, slots=True)
class Reset(Typed):
    TYPE: ClassVar[int] = 9
    RULE: ClassVar[str] = "reset"
    link: Lane
    payload: Annotated[Payload, "signed"]


@dataclass(frozen=True, slots=True)
class Request(Typed):
    TYPE: ClassVar[int] = 10
    RULE: ClassVar[str] = "request"
    link: Lane
    payload: Annotated[Payload, "sealed"]  # HPKE(signed request)


@dataclass(frozen=True, slots=True)
class Stand(Typed):
    """How I regard you changed."""

    TYPE: ClassVar[int] = 11
    RULE: ClassVar[str] = "standing"
    link: Lane
    standing: Regard


@dataclass(frozen=True, slots=True)
class Presence(Typed):
    TYPE: ClassVar[int] = 12
    RULE: ClassVar[str] = "presence"
    link: Lane
    status: Word
    attending: Bool
    last_read_ms: Annotated[Date, "last-read"]  # 0: never


@dataclass(frozen=True, slots=True)
class Pair(Typed):
    """A pairing message; `run` is the joiner's number on this connection."""

    TYPE: ClassVar[int] = 13
    NEXT: ClassVar[tuple[int, ...]] = (0,)
    RULE: ClassVar[str] = "pair"
    run: Uint53
    joiner: Annotated[bool, Custom("0 / 1", _is_joiner, int), "side"]  # which side sends it
    message: Annotated[bytes, Bytes(at_most=PAIRING_MESSAGE_BYTES)]


OfNode = Node | Pair | Greeting | Knock
OfLink = Open | Hello | Refuse | Close | Credit | Sync | Init | Data | Reset | Request | Stand | Presence
Frame = OfNode | OfLink

_KINDS: dict[int, type[Frame]] = {kind.TYPE: kind for kind in get_args(Frame)}


def encode_frame(frame: Frame) -> bytes:
    """The frame as CBOR; framing.frame_bytes makes it ready for the stream."""
    return encode(frame.pack())


def decode_frame(data: bytes) -> Frame | None:
    """The frame, or None for a type this version does not know, whatever it holds. Raises Malformed or
    UnknownVersion."""
    fields = decode(data, limit=FRAME_BYTES, items=FRAME_ITEMS)
    if not isinstance(fields, list) or not fields:
        raise Malformed("a frame must be an array that begins with its type")
    kind = _KINDS.get(fields[0]) if type(fields[0]) is int else None
    if kind is not None:
        return kind.unpack(fields)
    uint(fields[0], what="frame type")
    return None
