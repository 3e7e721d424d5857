"""What a client sends to a bridge, and the sizes that both sides use. relay.py explains each message."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, ClassVar

from p2p_agents.limits import BLOB_BYTES, MEETING_BYTES
from p2p_agents.wire.cbor import VERSION
from p2p_agents.wire.kinds import Bool, Bytes, Bytes32, OneOf, Text, Uint53
from p2p_agents.wire.layout import Typed
from p2p_agents.wire.parts import Place

KEY_BYTES = 32
TOKEN_CHARS = 128  # an admission token as typed by its owner

Proof = Annotated[bytes, Bytes(at_most=512)]  # a COSE_Sign1 over one of the claims
Message = Annotated[bytes, Bytes(at_most=MEETING_BYTES)]


class Side(IntEnum):
    """The sides of a meeting place."""

    DISPLAYER = 0
    JOINER = 1


@dataclass(frozen=True, slots=True)
class Knock(Typed):
    TYPE: ClassVar[int] = 0
    NEXT: ClassVar[tuple[int, ...]] = (0, VERSION)
    VERSION_AT: ClassVar[int | None] = 2
    RULE: ClassVar[str] = "knock"
    nonce: Bytes32


@dataclass(frozen=True, slots=True)
class Login(Typed):
    TYPE: ClassVar[int] = 2
    RULE: ClassVar[str] = "login"
    request: Uint53
    account: Bytes32
    proof: Proof  # login_claim
    token: Annotated[str, Text(TOKEN_CHARS)] = field(repr=False)  # of admission, or empty


@dataclass(frozen=True, slots=True)
class Create(Typed):
    TYPE: ClassVar[int] = 3
    RULE: ClassVar[str] = "create"
    request: Uint53
    read_key: Bytes32
    proof: Proof  # create_claim
    token_hash: Bytes32
    public: Bool  # anybody who did the work may write: a queue for requests


@dataclass(frozen=True, slots=True)
class Put(Typed):
    """For a public queue the token is the stamp, 32 bytes whose hash has enough leading zero bits."""

    TYPE: ClassVar[int] = 4
    RULE: ClassVar[str] = "put"
    request: Uint53
    queue: Bytes32
    token: Bytes32 = field(repr=False)
    blob: Annotated[bytes, Bytes(at_most=BLOB_BYTES)] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Read(Typed):
    TYPE: ClassVar[int] = 5
    RULE: ClassVar[str] = "read"
    request: Uint53
    queue: Bytes32
    read_key: Bytes32
    proof: Proof  # read_claim
    after: Uint53


@dataclass(frozen=True, slots=True)
class Ack(Typed):
    """Of a queue that this connection reads."""

    TYPE: ClassVar[int] = 6
    RULE: ClassVar[str] = "ack"
    request: Uint53
    queue: Bytes32
    cursor: Uint53


@dataclass(frozen=True, slots=True)
class Drop(Typed):
    """Of a queue that this connection reads."""

    TYPE: ClassVar[int] = 7
    RULE: ClassVar[str] = "drop"
    request: Uint53
    queue: Bytes32


@dataclass(frozen=True, slots=True)
class Meet(Typed):
    """A client that comes back with a side's token gets that side again."""

    TYPE: ClassVar[int] = 8
    RULE: ClassVar[str] = "meet"
    request: Uint53
    place: Place
    side: Annotated[Side, OneOf(Side)]
    token: Bytes32 = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tell(Typed):
    TYPE: ClassVar[int] = 9
    RULE: ClassVar[str] = "tell"
    request: Uint53
    place: Place
    message: Message


@dataclass(frozen=True, slots=True)
class Leave(Typed):
    TYPE: ClassVar[int] = 10
    RULE: ClassVar[str] = "leave"
    request: Uint53
    place: Place


@dataclass(frozen=True, slots=True)
class Stamp(Typed):
    """Work done for the account that logged in; it lets one request of a newcomer pass."""

    TYPE: ClassVar[int] = 11
    RULE: ClassVar[str] = "stamp"
    request: Uint53
    stamp: Bytes32
