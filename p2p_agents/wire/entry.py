"""Entries: the claims of a signed record of a conversation, the body beside it, and the void that may replace it.

The signature itself belongs to crypto; this module makes the bytes that are signed. An entry's id is SHA-256 of its
COSE_Sign1 bytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import BODY_BYTES, HEADERS_BYTES, KIND_CHARS, REASON_CHARS
from p2p_agents.wire.cbor import encode, text, uint
from p2p_agents.wire.kinds import Bytes, Bytes32, Custom, Date, Text, Uint, Uint53
from p2p_agents.wire.layout import Layout, Versioned

ENTRY_LABEL = "p2pa/1 entry"
VOID_LABEL = "p2pa/1 void"

ID_BYTES = 32
EPOCH_BYTES = 8
SALT_BYTES = 16
FIRST_PREV = bytes(ID_BYTES)  # named as the predecessor by a chain's first entry

_BODY_BYTES = 1 + (1 + SALT_BYTES) + 5 + BODY_BYTES  # array, salt, and the content with its length
_CLAIMS_BYTES = HEADERS_BYTES + 1024  # the fixed fields take under 300 bytes, the kind at most 256
_SIGNATURE_BYTES = 2 + 64  # of a COSE_Sign1 as CBOR: its length in two bytes, and Ed25519's


Epoch = Annotated[bytes, Bytes(EPOCH_BYTES)]
ChainPlace = Annotated[int, Uint(at_least=1, name="place")]
Headers = dict[str, str | int | bytes]


def _headers(headers: Any) -> Headers:
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
    return headers


@dataclass(frozen=True, slots=True)
class Claims(Versioned):
    """The statement that an author's device signs (PROTOCOL A1). Building one out of bounds raises Malformed."""

    RULE: ClassVar[str] = "entry"
    CHECKED: ClassVar[bool] = True
    author: Bytes32
    device: Bytes32
    conversation: Bytes32
    epoch: Epoch
    seq: ChainPlace
    prev: Bytes32
    lamport: Uint53
    time_ms: Annotated[Date, "time"]
    kind: Annotated[str, Text(KIND_CHARS, at_least=1)]
    headers: Annotated[Headers, Custom("headers", _headers)]
    body_hash: Bytes32

    def __post_init__(self) -> None:
        self.check()


def encode_claims(claims: Claims) -> bytes:
    """The payload to sign under ENTRY_LABEL."""
    return claims.encoded()


def decode_claims(payload: bytes) -> Claims:
    """The claims in a signed payload. Raises Malformed or UnknownVersion."""
    return Claims.decoded(payload, limit=_CLAIMS_BYTES)


@dataclass(frozen=True, slots=True)
class Body(Layout):
    """The salt keeps a purged short body from being guessed. Building one out of bounds raises Malformed."""

    RULE: ClassVar[str] = "body"
    CHECKED: ClassVar[bool] = True
    salt: Annotated[bytes, Bytes(SALT_BYTES)]
    content: Annotated[bytes, Bytes(at_most=BODY_BYTES)]

    def __post_init__(self) -> None:
        self.check()


def encode_body(salt: bytes, content: bytes) -> bytes:
    return Body(salt, content).encoded()


def decode_body(encoded: bytes) -> bytes:
    """The content of an encoded body. Raises Malformed."""
    return Body.decoded(encoded, limit=_BODY_BYTES).content


def signed_body_hash(signed: bytes) -> bytes:
    """`Claims.body_hash` in the COSE_Sign1 of what is known to be an entry, as by its hash: the claims end with it, and
    nothing but a signature follows them."""
    return signed[-_SIGNATURE_BYTES - ID_BYTES : -_SIGNATURE_BYTES]


def body_hash(encoded_body: bytes) -> bytes:
    """SHA-256, 32 bytes: what Claims.body_hash holds."""
    return hashlib.sha256(encoded_body).digest()


@dataclass(frozen=True, slots=True)
class Void(Versioned):
    """Stands in the chain for the entry `entry_hash`, which expired before any sealing (PROTOCOL B6)."""

    RULE: ClassVar[str] = "void"
    CHECKED: ClassVar[bool] = True
    author: Bytes32
    device: Bytes32
    conversation: Bytes32
    epoch: Epoch
    seq: ChainPlace
    prev: Bytes32
    lamport: Uint53
    entry_hash: Annotated[Bytes32, "entry"]
    reason: Annotated[str, Text(REASON_CHARS)]

    def __post_init__(self) -> None:
        self.check()


def encode_void(void: Void) -> bytes:
    """The payload to sign under VOID_LABEL."""
    return void.encoded()


def decode_void(payload: bytes) -> Void:
    """The void in a signed payload. Raises Malformed or UnknownVersion."""
    return Void.decoded(payload, limit=_CLAIMS_BYTES)
