"""The messages between the two sides of a pairing, over a connection or a bridge: CBOR arrays [1, type, ...].

    joiner     ASK      I hold a code for this place
    displayer  OFFER    my share, and the hash of how I will introduce myself
    joiner     ANSWER   my share, hash and tag
    displayer  CONFIRM  my tag, and my introduction, sealed
    joiner     REVEAL   my introduction, sealed
    displayer  DONE     I have stored you, sealed
    either     REFUSE   the reason

The displayer shows the code, the joiner typed or scanned it. Shares are empty if the code was scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, get_args

from p2p_agents.errors import Malformed
from p2p_agents.limits import PAIRING_MESSAGE_BYTES
from p2p_agents.wire.cbor import VERSION, array, decode, encode, text, uint, version
from p2p_agents.wire.kinds import Bytes, Bytes32, Custom, OneOf
from p2p_agents.wire.layout import Layout
from p2p_agents.wire.parts import Place

NONCE_BYTES = 16
REASON_CHARS = 64

Nonce = Annotated[bytes, Bytes(NONCE_BYTES)]
SHARE = Bytes(0, 32, name="share")
TAG = Bytes(32, 64, name="tag")
Share = Annotated[bytes, SHARE]
Tag = Annotated[bytes, TAG]
Box = Annotated[bytes, Bytes()]


class Purpose(StrEnum):
    """The purpose of a code. A code is valid for one purpose only (PROTOCOL F1)."""

    CONTACT = "contact"  # two agents become contacts
    ROOM = "room"  # the displayer's room adds the joiner
    LINK = "link"  # the displayer's agent adds the joiner's installation as a device


class Reason(StrEnum):
    """Why a run was refused. An unknown reason of a peer counts as BROKEN."""

    WRONG = "wrong"  # the tag does not match: another word, or somebody in the middle
    DEAD = "dead"  # the code was used, has expired, was guessed too often, or never existed
    TAKEN = "taken"  # another joiner came first
    PURPOSE = "purpose"  # the code is for something else
    IDENTITY = "identity"  # the introduction is invalid
    BROKEN = "broken"  # a message that does not belong to the exchange
    TIMEOUT = "timeout"


class Step(Layout):
    """Base of a message."""

    __slots__ = ()
    VERSION_AT: ClassVar[int | None] = 0
    KNOWN_AT: ClassVar[int | None] = 1
    TYPE: ClassVar[int]

    @classmethod
    def prefix(cls) -> tuple[int, ...]:
        return VERSION, cls.TYPE


def _reason(value: Any) -> Reason:
    reason = text(value, at_most=REASON_CHARS, what="reason")
    return Reason(reason) if reason in set(Reason) else Reason.BROKEN


@dataclass(frozen=True, slots=True)
class Ask(Step):
    TYPE: ClassVar[int] = 0
    RULE: ClassVar[str] = "ask"
    place: Place
    purpose: Annotated[Purpose, OneOf(Purpose)]
    nonce: Nonce


@dataclass(frozen=True, slots=True)
class Offer(Step):
    TYPE: ClassVar[int] = 1
    RULE: ClassVar[str] = "offer"
    nonce: Nonce
    share: Share
    ad: Bytes32


@dataclass(frozen=True, slots=True)
class Answer(Step):
    TYPE: ClassVar[int] = 2
    RULE: ClassVar[str] = "answer"
    share: Share
    ad: Bytes32
    tag: Tag


@dataclass(frozen=True, slots=True)
class Confirm(Step):
    TYPE: ClassVar[int] = 3
    RULE: ClassVar[str] = "confirm"
    tag: Tag
    box: Box  # an introduction


@dataclass(frozen=True, slots=True)
class Reveal(Step):
    TYPE: ClassVar[int] = 4
    RULE: ClassVar[str] = "reveal"
    box: Box  # an introduction


@dataclass(frozen=True, slots=True)
class Done(Step):
    TYPE: ClassVar[int] = 5
    RULE: ClassVar[str] = "done"
    box: Box  # a gift


@dataclass(frozen=True, slots=True)
class Refuse(Step):
    TYPE: ClassVar[int] = 6
    RULE: ClassVar[str] = "refuse"
    reason: Annotated[Reason, Custom(f"text .size (0..{REASON_CHARS})", _reason, str)]


Message = Ask | Offer | Answer | Confirm | Reveal | Done | Refuse

_KINDS: dict[int, type[Message]] = {kind.TYPE: kind for kind in get_args(Message)}


def encode_message(message: Message) -> bytes:
    return encode(message.pack())


def decode_message(data: bytes) -> Message:
    """Raises Malformed or UnknownVersion."""
    fields = array(decode(data, limit=PAIRING_MESSAGE_BYTES), what="pairing message")
    version(fields[0] if fields else None)
    kind = _KINDS.get(uint(fields[1] if len(fields) > 1 else None, what="type"))
    if kind is None:
        raise Malformed("the pairing message has an unknown type")
    return kind.unpack(fields)
