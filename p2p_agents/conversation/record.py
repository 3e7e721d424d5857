"""An entry as the log keeps it: signed bytes, body, and the fields both sides read from them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from p2p_agents.crypto.signing import SigningKey, unverified_payload, verify
from p2p_agents.errors import BadSignature, Malformed, UnknownVersion
from p2p_agents.limits import BODY_BYTES
from p2p_agents.wire.entry import (
    ENTRY_LABEL,
    VOID_LABEL,
    Claims,
    Void,
    body_hash,
    decode_body,
    decode_claims,
    decode_void,
    encode_body,
    encode_claims,
    encode_void,
    signed_body_hash,
)
from p2p_agents.wire.payload import Item

if TYPE_CHECKING:
    from collections.abc import Mapping

MESSAGE = "message"
CARD = "contact.card"
SHARE = "own.contact"
VOID = "void"
TEXT_TYPES = ("text/plain", "text/markdown", "application/json")


@dataclass(frozen=True, slots=True)
class Record:
    """One entry. For a void, `hash` is that of the entry it stands for and `body` is None."""

    hash: bytes
    kind: str
    conversation: bytes
    author: bytes
    device: bytes
    epoch: bytes
    seq: int
    prev: bytes
    lamport: int
    time_ms: int
    type: str
    reply_to: bytes | None
    signed: bytes
    body: bytes | None  # encoded, with its salt

    @property
    def content(self) -> bytes | None:
        return None if self.body is None else decode_body(self.body)

    @property
    def headers(self) -> Mapping[str, str | int | bytes]:
        """All that its author put there, whether this version knows it or not. A void has none."""
        return {} if self.kind == VOID else decode_claims(unverified_payload(self.signed)).headers

    @property
    def item(self) -> Item:
        """The item as a sealed frame carries it."""
        return Item(self.signed, self.body, void=self.kind == VOID)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new entry goes in its device's chain."""

    conversation: bytes
    epoch: bytes
    seq: int
    prev: bytes
    lamport: int


def write_message(
    key: SigningKey,
    author: bytes,
    place: Place,
    *,
    content: bytes,
    salt: bytes,
    content_type: str,
    reply_to: bytes | None,
    time_ms: int,
    kind: str = MESSAGE,
    headers: Mapping[str, str | int | bytes] | None = None,
) -> Record:
    """Sign an entry. `salt` is 16 fresh random bytes: so that the hash does not reveal a guessable body."""
    body = encode_body(salt, content)
    said = {**(headers or {}), "type": content_type}
    if reply_to is not None:
        said["reply_to"] = reply_to
    claims = Claims(
        author,
        key.public,
        place.conversation,
        place.epoch,
        place.seq,
        place.prev,
        place.lamport,
        time_ms,
        kind,
        said,
        body_hash(body),
    )
    return _record(key.sign(encode_claims(claims), ENTRY_LABEL), claims, body)


def write_void(key: SigningKey, voided: Record, reason: str) -> bytes:
    """The signed void that stands for an entry which expired before it was sealed (PROTOCOL B6)."""
    v = voided
    void = Void(
        v.author,
        v.device,
        v.conversation,
        v.epoch,
        v.seq,
        v.prev,
        v.lamport,
        entry_hash=v.hash,
        reason=reason,
    )
    return key.sign(encode_void(void), VOID_LABEL)


def read_item(item: Item) -> Record:
    """A received item, its signature verified by the device it names. Raises Malformed or BadSignature.

    The caller checks that the device belongs to the author, and the author to the conversation.
    """
    return _read_void(item.signed) if item.void else _read_entry(item.signed, item.body)


def is_intact(r: Record) -> bool:
    """Whether a stored record is still what its author signed: a disk may have changed it."""
    try:
        if r.kind == VOID:
            return _read_void(r.signed) == r
        claims = decode_claims(unverified_payload(r.signed))
    except (Malformed, UnknownVersion, BadSignature):
        return False
    return _record(r.signed, claims, r.body) == r and (r.body is None or body_hash(r.body) == claims.body_hash)


def intact_part(entry_hash: bytes, item: Item) -> Item | None:
    """The part of a stored item that is still as its author signed it: all, the entry without its body, or nothing."""
    if item.void:
        return item
    if hashlib.sha256(item.signed).digest() != entry_hash:
        return None
    whole = item.body is None or body_hash(item.body) == signed_body_hash(item.signed)
    return item if whole else Item(item.signed, None)


def _read_entry(signed: bytes, body: bytes | None) -> Record:
    claims = decode_claims(unverified_payload(signed))
    verify(claims.device, signed, ENTRY_LABEL)
    if claims.kind == VOID:
        raise Malformed("a void is not an entry kind: it has a label of its own")
    if body is not None:
        if body_hash(body) != claims.body_hash:
            raise BadSignature("the body is not the one that was signed")
        if len(decode_body(body)) > BODY_BYTES:
            raise Malformed(f"the body has more than {BODY_BYTES} bytes")
    return _record(signed, claims, body)


def _record(signed: bytes, claims: Claims, body: bytes | None) -> Record:
    return Record(
        hashlib.sha256(signed).digest(),
        claims.kind,
        claims.conversation,
        claims.author,
        claims.device,
        claims.epoch,
        claims.seq,
        claims.prev,
        claims.lamport,
        claims.time_ms,
        type=_type(claims.headers),
        reply_to=_reply_to(claims.headers),
        signed=signed,
        body=body,
    )


def _read_void(signed: bytes) -> Record:
    v = decode_void(unverified_payload(signed))
    verify(v.device, signed, VOID_LABEL)
    return Record(
        v.entry_hash,
        VOID,
        v.conversation,
        v.author,
        v.device,
        v.epoch,
        v.seq,
        v.prev,
        v.lamport,
        time_ms=0,
        type="",
        reply_to=None,
        signed=signed,
        body=None,
    )


def _type(headers: Mapping[str, object]) -> str:
    """Types that this version does not know are stored and shown as such."""
    found = headers.get("type", "")
    return found if isinstance(found, str) else ""


def _reply_to(headers: Mapping[str, object]) -> bytes | None:
    found = headers.get("reply_to")
    return found if isinstance(found, bytes) and len(found) == 32 else None
