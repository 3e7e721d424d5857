"""Entries: the claims of a signed record of a conversation, the body beside it, and the void that may replace it.

The signature itself belongs to crypto; this module makes the bytes that are signed. An entry's id is SHA-256 of its
COSE_Sign1 bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from p2p_agents.errors import Malformed
from p2p_agents.limits import BODY_BYTES, HEADERS_BYTES, KIND_CHARS, REASON_CHARS
from p2p_agents.wire.cbor import VERSION, array, blob, date, decode, encode, text, uint, version

ENTRY_LABEL = "p2pa/1 entry"
VOID_LABEL = "p2pa/1 void"

ID_BYTES = 32
EPOCH_BYTES = 8
SALT_BYTES = 16
FIRST_PREV = bytes(ID_BYTES)  # named as the predecessor by a chain's first entry

_BODY_BYTES = 1 + (1 + SALT_BYTES) + 5 + BODY_BYTES  # array, salt, and the content with its length
_SIGNATURE_BYTES = 2 + 64  # of a COSE_Sign1 as CBOR: its length in two bytes, and Ed25519's
_CLAIMS_BYTES = HEADERS_BYTES + 1024  # the fixed fields take under 300 bytes, the kind at most 256


@dataclass(frozen=True, slots=True)
class Claims:
    """The statement that an author's device signs (PROTOCOL A1). Building one out of bounds raises Malformed."""

    author: bytes
    device: bytes
    conversation: bytes
    epoch: bytes
    seq: int
    prev: bytes
    lamport: int
    time_ms: int
    kind: str
    headers: dict[str, str | int | bytes]
    body_hash: bytes

    def __post_init__(self) -> None:
        _check_place(self)
        date(self.time_ms, what="time_ms")
        if not text(self.kind, at_most=KIND_CHARS, what="kind"):
            raise Malformed("kind is empty")
        _check_headers(self.headers)
        blob(self.body_hash, size=ID_BYTES, what="body_hash")


def encode_claims(claims: Claims) -> bytes:
    """The payload to sign under ENTRY_LABEL."""
    c = claims
    place = [VERSION, c.author, c.device, c.conversation, c.epoch, c.seq, c.prev, c.lamport]
    return encode([*place, c.time_ms, c.kind, c.headers, c.body_hash])


def decode_claims(payload: bytes) -> Claims:
    """The claims in a signed payload. Raises Malformed or UnknownVersion."""
    return Claims(*_fields(payload, 12, _CLAIMS_BYTES, "entry"))


def signed_body_hash(signed: bytes) -> bytes:
    """`Claims.body_hash` in the COSE_Sign1 of what is known to be an entry, as by its hash: the claims end with it, and
    nothing but a signature follows them."""
    return signed[-_SIGNATURE_BYTES - ID_BYTES : -_SIGNATURE_BYTES]


def encode_body(salt: bytes, content: bytes) -> bytes:
    """CBOR [salt, content]: the salt keeps a purged short body from being guessed by its hash."""
    blob(salt, size=SALT_BYTES, what="salt")
    return encode([salt, blob(content, at_most=BODY_BYTES, what="body")])


def decode_body(encoded: bytes) -> bytes:
    """The content of an encoded body. Raises Malformed."""
    salt, content = array(decode(encoded, limit=_BODY_BYTES), 2, what="body")
    blob(salt, size=SALT_BYTES, what="salt")
    return blob(content, at_most=BODY_BYTES, what="body")


def body_hash(encoded_body: bytes) -> bytes:
    """SHA-256, 32 bytes: what Claims.body_hash holds."""
    return hashlib.sha256(encoded_body).digest()


@dataclass(frozen=True, slots=True)
class Void:
    """Stands in the chain for the entry `entry_hash`, which expired before any sealing (PROTOCOL B6)."""

    author: bytes
    device: bytes
    conversation: bytes
    epoch: bytes
    seq: int
    prev: bytes
    lamport: int
    entry_hash: bytes
    reason: str

    def __post_init__(self) -> None:
        _check_place(self)
        blob(self.entry_hash, size=ID_BYTES, what="entry_hash")
        text(self.reason, at_most=REASON_CHARS, what="reason")


def encode_void(void: Void) -> bytes:
    """The payload to sign under VOID_LABEL."""
    v = void
    place = [VERSION, v.author, v.device, v.conversation, v.epoch, v.seq, v.prev, v.lamport]
    return encode([*place, v.entry_hash, v.reason])


def decode_void(payload: bytes) -> Void:
    """The void in a signed payload. Raises Malformed or UnknownVersion."""
    return Void(*_fields(payload, 10, _CLAIMS_BYTES, "void"))


def _fields(payload: bytes, length: int, limit: int, what: str) -> list[Any]:
    fields = array(decode(payload, limit=limit), what=what)
    version(fields[0] if fields else None)
    return array(fields, length, what=what)[1:]


def _check_place(claims: Claims | Void) -> None:
    """Whose it is, and where it stands in its chain."""
    blob(claims.author, size=ID_BYTES, what="author")
    blob(claims.device, size=ID_BYTES, what="device")
    blob(claims.conversation, size=ID_BYTES, what="conversation")
    blob(claims.epoch, size=EPOCH_BYTES, what="epoch")
    if not uint(claims.seq, what="seq"):
        raise Malformed("seq must begin at 1")
    blob(claims.prev, size=ID_BYTES, what="prev")
    uint(claims.lamport, what="lamport")


def _check_headers(headers: Any) -> None:
    if type(headers) is not dict:
        raise Malformed("headers must be a map")
    for name, value in headers.items():
        text(name, at_most=HEADERS_BYTES, what="a header's name")
        if type(value) is str:
            text(value, at_most=HEADERS_BYTES, what="a header")
        elif type(value) is int:
            uint(value, what="a header")
        elif type(value) is not bytes:
            raise Malformed("a header must be text, an integer or bytes")
    if headers and len(encode(headers)) > HEADERS_BYTES:
        raise Malformed(f"headers take more than {HEADERS_BYTES} bytes")
