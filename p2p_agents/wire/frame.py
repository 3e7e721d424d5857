"""The link protocol: every frame of a connection's message stream and its layout. Version 1.

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

Frames of an unknown type are skipped wherever they come, so that later versions may add some. A frame of a known type
that is not laid out as below is Malformed and ends the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from p2p_agents.errors import Malformed
from p2p_agents.limits import (
    BUNDLE_BYTES,
    FRAME_BYTES,
    IDENTITY_ENTRIES,
    IDENTITY_ENTRY_BYTES,
    NAME_CHARS,
    PAIRING_MESSAGE_BYTES,
    PAIRING_PLACES,
    ROSTER_AGENTS,
    SESSION_FRAME_BYTES,
)
from p2p_agents.wire.cbor import array, array_of, blob, date, decode, encode, flag, text, uint, version
from p2p_agents.wire.greeting import Greeting
from p2p_agents.wire.knock import Knock
from p2p_agents.wire.names import told_kind, told_name
from p2p_agents.wire.pairing import PLACE_CHARS

if TYPE_CHECKING:
    from collections.abc import Callable

PROTOCOL = 1
CODE_CHARS = 64
PROOF_BYTES = 512
FRAME_ITEMS = 1_024  # values in one frame: a HELLO carries an identity log, a NODE a roster
PAYLOAD_BYTES = FRAME_BYTES - 256  # room in a frame beside its own fields


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


@dataclass(frozen=True, slots=True)
class RosterAgent:
    """One announced agent of a node: a claim until a HELLO proves it."""

    agent: bytes
    name: str
    kind: str
    status: str

    def pack(self) -> list[object]:
        return [self.agent, self.name, self.kind, self.status]

    @classmethod
    def unpack(cls, value: Any) -> RosterAgent:
        agent, name, kind, status = array(value, 4, what="roster agent")
        return cls(
            blob(agent, size=32, what="agent"),
            told_name(name),
            told_kind(kind),
            text(status, at_most=NAME_CHARS, what="status"),
        )


@dataclass(frozen=True, slots=True)
class Node:
    """[0, 0, version, node key, incarnation ms, program version, challenge, [roster agent…], [place…]]"""

    TYPE: ClassVar[int] = 0
    node: bytes  # the node's TLS key; proven to the dialer by TLS, a claim to the acceptor
    incarnation: int
    program: str
    challenge: bytes  # drawn for this connection; every OPEN to this side signs it
    roster: tuple[RosterAgent, ...]
    places: tuple[str, ...] = ()  # where pairing codes shown here are met

    def pack(self) -> list[object]:
        roster = [agent.pack() for agent in self.roster]
        return [0, 0, PROTOCOL, self.node, self.incarnation, self.program, self.challenge, roster, list(self.places)]

    @classmethod
    def unpack(cls, f: list[Any]) -> Node:
        version(f[2])
        _, link, _, node, incarnation, program, challenge, roster, places = array(f, 9, what="NODE")
        uint(link, at_most=0, what="link")
        return cls(
            blob(node, size=32, what="node"),
            uint(incarnation, what="incarnation"),
            text(program, at_most=CODE_CHARS, what="program"),
            blob(challenge, size=32, what="challenge"),
            tuple(RosterAgent.unpack(a) for a in array_of(roster, ROSTER_AGENTS, "roster")),
            tuple(text(p, at_most=PLACE_CHARS, what="place") for p in array_of(places, PAIRING_PLACES, "places")),
        )


@dataclass(frozen=True, slots=True)
class Open:
    """[1, link, from agent, from device, to agent, challenge, held of the target's identity log, proof, its head]"""

    TYPE: ClassVar[int] = 1
    link: int
    frm: bytes
    device: bytes
    to: bytes
    challenge: bytes
    held: int
    proof: bytes  # by the device: merely naming an agent reveals nothing of how it is regarded
    head: bytes = b""  # SHA-256 of the last of the entries held; empty when none is

    def pack(self) -> list[object]:
        return [1, self.link, self.frm, self.device, self.to, self.challenge, self.held, self.proof, self.head]

    @classmethod
    def unpack(cls, f: list[Any]) -> Open:
        _, link, frm, device, to, challenge, held, proof, head = array(f, 9, what="OPEN")
        return cls(
            uint(link, what="link"),
            blob(frm, size=32, what="from"),
            blob(device, size=32, what="device"),
            blob(to, size=32, what="to"),
            blob(challenge, size=32, what="challenge"),
            uint(held, at_most=IDENTITY_ENTRIES, what="held"),
            blob(proof, at_most=PROOF_BYTES, what="proof"),
            blob(head, at_most=32, what="head"),
        )


@dataclass(frozen=True, slots=True)
class Hello:
    """[2, link, signed hello, first n, [identity entries…], bundle, announced name, kind]"""

    TYPE: ClassVar[int] = 2
    link: int
    signed: bytes
    start: int
    entries: tuple[bytes, ...]
    bundle: bytes
    name: str
    kind: str

    def pack(self) -> list[object]:
        return [2, self.link, self.signed, self.start, list(self.entries), self.bundle, self.name, self.kind]

    @classmethod
    def unpack(cls, f: list[Any]) -> Hello:
        _, link, signed, start, entries, bundle, name, kind = array(f, 8, what="HELLO")
        entries = array_of(entries, IDENTITY_ENTRIES, "identity entries")
        return cls(
            uint(link, what="link"),
            blob(signed, at_most=BUNDLE_BYTES, what="signed hello"),
            uint(start, at_most=IDENTITY_ENTRIES, what="start"),
            tuple(blob(e, at_most=IDENTITY_ENTRY_BYTES, what="identity entry") for e in entries),
            blob(bundle, at_most=BUNDLE_BYTES, what="bundle"),
            told_name(name),
            told_kind(kind),
        )


@dataclass(frozen=True, slots=True)
class Refuse:
    """[3, link, code]: the OPEN is declined."""

    TYPE: ClassVar[int] = 3
    link: int
    code: str

    def pack(self) -> list[object]:
        return [3, self.link, self.code]

    @classmethod
    def unpack(cls, f: list[Any]) -> Refuse:
        _, link, code = array(f, 3, what="REFUSE")
        return cls(uint(link, what="link"), text(code, at_most=CODE_CHARS, what="code"))


@dataclass(frozen=True, slots=True)
class Close:
    """[4, link, code]: the link ends; the connection stays."""

    TYPE: ClassVar[int] = 4
    link: int
    code: str

    def pack(self) -> list[object]:
        return [4, self.link, self.code]

    @classmethod
    def unpack(cls, f: list[Any]) -> Close:
        _, link, code = array(f, 3, what="CLOSE")
        return cls(uint(link, what="link"), text(code, at_most=CODE_CHARS, what="code"))


@dataclass(frozen=True, slots=True)
class Credit:
    """[5, link, total]: DATA bytes that may have been sent on this link since it opened, in all."""

    TYPE: ClassVar[int] = 5
    link: int
    total: int

    def pack(self) -> list[object]:
        return [5, self.link, self.total]

    @classmethod
    def unpack(cls, f: list[Any]) -> Credit:
        _, link, total = array(f, 3, what="CREDIT")
        return cls(uint(link, what="link"), uint(total, what="total"))


@dataclass(frozen=True, slots=True)
class _Opaque:
    """[type, link, payload]: bytes that a ring above reads."""

    TYPE: ClassVar[int] = -1
    BYTES: ClassVar[int] = PAYLOAD_BYTES
    link: int
    payload: bytes

    def pack(self) -> list[object]:
        return [self.TYPE, self.link, self.payload]

    @classmethod
    def unpack(cls, f: list[Any]) -> Any:
        _, link, payload = array(f, 3, what=cls.__name__.upper())
        return cls(uint(link, what="link"), blob(payload, at_most=cls.BYTES, what="payload"))


class Sync(_Opaque):
    """[6, link, HPKE(signed sync)]"""

    __slots__ = ()
    TYPE: ClassVar[int] = 6


class Init(_Opaque):
    """[7, link, signed init]"""

    __slots__ = ()
    TYPE: ClassVar[int] = 7


class Data(_Opaque):
    """[8, link, session frame]"""

    __slots__ = ()
    TYPE: ClassVar[int] = 8
    BYTES: ClassVar[int] = SESSION_FRAME_BYTES


class Reset(_Opaque):
    """[9, link, signed reset]"""

    __slots__ = ()
    TYPE: ClassVar[int] = 9


class Request(_Opaque):
    """[10, link, HPKE(signed request)]"""

    __slots__ = ()
    TYPE: ClassVar[int] = 10


@dataclass(frozen=True, slots=True)
class Stand:
    """[11, link, standing]: how I regard you changed."""

    TYPE: ClassVar[int] = 11
    link: int
    standing: Standing

    def pack(self) -> list[object]:
        return [11, self.link, int(self.standing)]

    @classmethod
    def unpack(cls, f: list[Any]) -> Stand:
        _, link, standing = array(f, 3, what="STANDING")
        return cls(uint(link, what="link"), Standing(uint(standing, at_most=2, what="standing")))


@dataclass(frozen=True, slots=True)
class Presence:
    """[12, link, status, attending, last read ms or 0]"""

    TYPE: ClassVar[int] = 12
    link: int
    status: str
    attending: bool
    last_read_ms: int

    def pack(self) -> list[object]:
        return [12, self.link, self.status, self.attending, self.last_read_ms]

    @classmethod
    def unpack(cls, f: list[Any]) -> Presence:
        _, link, status, attending, last_read = array(f, 5, what="PRESENCE")
        return cls(
            uint(link, what="link"),
            text(status, at_most=NAME_CHARS, what="status"),
            flag(attending, what="attending"),
            date(last_read, what="last read"),
        )


@dataclass(frozen=True, slots=True)
class Pair:
    """[13, 0, run, side of the sender, pairing message]: `run` is the joiner's number on this connection."""

    TYPE: ClassVar[int] = 13
    run: int
    joiner: bool  # the side that sends it: 0 is the displayer, 1 the joiner
    message: bytes

    def pack(self) -> list[object]:
        return [13, 0, self.run, int(self.joiner), self.message]

    @classmethod
    def unpack(cls, f: list[Any]) -> Pair:
        _, link, run, side, message = array(f, 5, what="PAIR")
        uint(link, at_most=0, what="link")
        return cls(
            uint(run, what="run"),
            uint(side, at_most=1, what="side") == 1,
            blob(message, at_most=PAIRING_MESSAGE_BYTES, what="message"),
        )


OfNode = Node | Pair | Greeting | Knock
OfLink = Open | Hello | Refuse | Close | Credit | Sync | Init | Data | Reset | Request | Stand | Presence
Frame = OfNode | OfLink

_READERS: dict[int, Callable[[list[Any]], Frame]] = {kind.TYPE: kind.unpack for kind in get_args(Frame)}


def encode_frame(frame: Frame) -> bytes:
    """The frame as CBOR; framing.frame_bytes makes it ready for the stream."""
    return encode(frame.pack())


def decode_frame(data: bytes) -> Frame | None:
    """The frame, or None for a type this version does not know, whatever it holds. Raises Malformed or
    UnknownVersion."""
    fields = decode(data, limit=FRAME_BYTES, items=FRAME_ITEMS)
    if not isinstance(fields, list) or not fields:
        raise Malformed("a frame must be an array that begins with its type")
    reader = _READERS.get(uint(fields[0], what="frame type"))
    if reader is None:
        return None
    if len(fields) < 3:
        raise Malformed("a frame must have a link number and fields")
    uint(fields[1], what="link")
    return reader(fields)
