"""What two sides of a pairing say to each other, over a connection or a bridge: CBOR arrays [1, type, ...].

    joiner     ASK      I hold a code for this place
    displayer  OFFER    my share, and the hash of how I will introduce myself
    joiner     ANSWER   my share, hash and tag
    displayer  CONFIRM  my tag, and my introduction, sealed
    joiner     REVEAL   my introduction, sealed
    displayer  DONE     I have kept you, sealed
    either     REFUSE   and why

The displayer shows the code, the joiner typed or scanned it. Shares are empty where the code was scanned.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import PAIRING_MESSAGE_BYTES
from p2p_agents.wire.cbor import VERSION, array, blob, decode, encode, text, uint, version

if TYPE_CHECKING:
    from collections.abc import Callable

NONCE_BYTES = 16
HASH_BYTES = 32
PLACE_CHARS = 32
CODE_CHARS = 64

_SHARE_BYTES = (0, 32)
_TAG_BYTES = (32, 64)


class Purpose(StrEnum):
    """What a code is for. A code for one purpose serves no other (PROTOCOL F1)."""

    CONTACT = "contact"  # two agents become contacts
    ROOM = "room"  # the displayer's room takes the joiner in
    LINK = "link"  # the displayer's agent takes the joiner's installation as a device


class Reason(StrEnum):
    """Why a run was refused. An unknown reason of a peer counts as BROKEN."""

    WRONG = "wrong"  # the tag: another word, or somebody in the middle
    DEAD = "dead"  # the code was used, has expired, was guessed at too often, or never was
    TAKEN = "taken"  # another joiner came first
    PURPOSE = "purpose"  # the code is for something else
    IDENTITY = "identity"  # the introduction does not hold
    BROKEN = "broken"  # what was said is no part of the exchange
    TIMEOUT = "timeout"


@dataclass(frozen=True, slots=True)
class Ask:
    """[1, 0, place, purpose, nonce]"""

    TYPE: ClassVar[int] = 0
    place: str
    purpose: Purpose
    nonce: bytes

    def pack(self) -> list[object]:
        return [self.place, str(self.purpose), self.nonce]

    @classmethod
    def unpack(cls, f: list[Any]) -> Ask:
        place, purpose, nonce = array(f, 3, what="ASK")
        if text(purpose, at_most=CODE_CHARS, what="purpose") not in set(Purpose):
            raise Malformed("ASK names an unknown purpose")
        return cls(
            text(place, at_most=PLACE_CHARS, what="place"),
            Purpose(purpose),
            blob(nonce, size=NONCE_BYTES, what="nonce"),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """[1, 1, nonce, share, ad]"""

    TYPE: ClassVar[int] = 1
    nonce: bytes
    share: bytes
    ad: bytes

    def pack(self) -> list[object]:
        return [self.nonce, self.share, self.ad]

    @classmethod
    def unpack(cls, f: list[Any]) -> Offer:
        nonce, share, ad = array(f, 3, what="OFFER")
        return cls(blob(nonce, size=NONCE_BYTES, what="nonce"), _share(share), blob(ad, size=HASH_BYTES, what="ad"))


@dataclass(frozen=True, slots=True)
class Answer:
    """[1, 2, share, ad, tag]"""

    TYPE: ClassVar[int] = 2
    share: bytes
    ad: bytes
    tag: bytes

    def pack(self) -> list[object]:
        return [self.share, self.ad, self.tag]

    @classmethod
    def unpack(cls, f: list[Any]) -> Answer:
        share, ad, tag = array(f, 3, what="ANSWER")
        return cls(_share(share), blob(ad, size=HASH_BYTES, what="ad"), _tag(tag))


@dataclass(frozen=True, slots=True)
class Confirm:
    """[1, 3, tag, sealed introduction]"""

    TYPE: ClassVar[int] = 3
    tag: bytes
    box: bytes

    def pack(self) -> list[object]:
        return [self.tag, self.box]

    @classmethod
    def unpack(cls, f: list[Any]) -> Confirm:
        tag, box = array(f, 2, what="CONFIRM")
        return cls(_tag(tag), blob(box, what="introduction"))


@dataclass(frozen=True, slots=True)
class Reveal:
    """[1, 4, sealed introduction]"""

    TYPE: ClassVar[int] = 4
    box: bytes

    def pack(self) -> list[object]:
        return [self.box]

    @classmethod
    def unpack(cls, f: list[Any]) -> Reveal:
        return cls(blob(*array(f, 1, what="REVEAL"), what="introduction"))


@dataclass(frozen=True, slots=True)
class Done:
    """[1, 5, sealed gift]"""

    TYPE: ClassVar[int] = 5
    box: bytes

    def pack(self) -> list[object]:
        return [self.box]

    @classmethod
    def unpack(cls, f: list[Any]) -> Done:
        return cls(blob(*array(f, 1, what="DONE"), what="gift"))


@dataclass(frozen=True, slots=True)
class Refuse:
    """[1, 6, reason]"""

    TYPE: ClassVar[int] = 6
    reason: Reason

    def pack(self) -> list[object]:
        return [str(self.reason)]

    @classmethod
    def unpack(cls, f: list[Any]) -> Refuse:
        reason = text(*array(f, 1, what="REFUSE"), at_most=CODE_CHARS, what="reason")
        return cls(Reason(reason) if reason in set(Reason) else Reason.BROKEN)


Message = Ask | Offer | Answer | Confirm | Reveal | Done | Refuse

_UNPACK: dict[int, Callable[[list[Any]], Message]] = {
    kind.TYPE: kind.unpack for kind in (Ask, Offer, Answer, Confirm, Reveal, Done, Refuse)
}


def encode_message(message: Message) -> bytes:
    return encode([VERSION, message.TYPE, *message.pack()])


def decode_message(data: bytes) -> Message:
    """Raises Malformed or UnknownVersion."""
    fields = array(decode(data, limit=PAIRING_MESSAGE_BYTES), what="pairing message")
    version(fields[0] if fields else None)
    kind = uint(fields[1] if len(fields) > 1 else None, what="type")
    if kind not in _UNPACK:
        raise Malformed("the pairing message has an unknown type")
    return _UNPACK[kind](fields[2:])


def _share(value: Any) -> bytes:
    share = blob(value, what="share")
    if len(share) not in _SHARE_BYTES:
        raise Malformed("the share has the wrong size")
    return share


def _tag(value: Any) -> bytes:
    tag = blob(value, what="tag")
    if len(tag) not in _TAG_BYTES:
        raise Malformed("the tag has the wrong size")
    return tag
