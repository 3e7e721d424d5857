"""What a client says to a bridge, and the sizes both sides use. relay.py tells what each is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar

from p2p_agents.limits import BLOB_BYTES, MEETING_BYTES
from p2p_agents.wire.cbor import VERSION, array, blob, flag, text, uint, version
from p2p_agents.wire.pairing import PLACE_CHARS

KEY_BYTES = 32
TOKEN_BYTES = 32
SIGNED_BYTES = 512  # a COSE_Sign1 over one of the claims
TOKEN_CHARS = 128  # an admission token as its owner typed it


class Side(IntEnum):
    """Of a meeting place."""

    DISPLAYER = 0
    JOINER = 1


@dataclass(frozen=True, slots=True)
class Knock:
    """[0, 0, version, nonce]"""

    TYPE: ClassVar[int] = 0
    nonce: bytes

    def pack(self) -> list[object]:
        return [0, 0, VERSION, self.nonce]

    @classmethod
    def unpack(cls, f: list[Any]) -> Knock:
        version(f[2] if len(f) > 2 else None)
        _, _, _, nonce = array(f, 4, what="KNOCK")
        return cls(blob(nonce, size=KEY_BYTES, what="nonce"))


@dataclass(frozen=True, slots=True)
class Login:
    """[2, request, account key, proof over [bridge key, challenge], admission token or ""]"""

    TYPE: ClassVar[int] = 2
    request: int
    account: bytes
    proof: bytes
    token: str = field(repr=False)

    def pack(self) -> list[object]:
        return [2, self.request, self.account, self.proof, self.token]

    @classmethod
    def unpack(cls, f: list[Any]) -> Login:
        _, request, account, proof, token = array(f, 5, what="LOGIN")
        return cls(
            uint(request, what="request"),
            blob(account, size=KEY_BYTES, what="account"),
            blob(proof, at_most=SIGNED_BYTES, what="proof"),
            text(token, at_most=TOKEN_CHARS, what="token"),
        )


@dataclass(frozen=True, slots=True)
class Create:
    """[3, request, read key, proof, hash of the write token, public]; the proof is over create_claim"""

    TYPE: ClassVar[int] = 3
    request: int
    read_key: bytes
    proof: bytes
    token_hash: bytes
    public: bool  # anybody may write who did the work: a queue for requests

    def pack(self) -> list[object]:
        return [3, self.request, self.read_key, self.proof, self.token_hash, self.public]

    @classmethod
    def unpack(cls, f: list[Any]) -> Create:
        _, request, read_key, proof, token_hash, public = array(f, 6, what="CREATE")
        return cls(
            uint(request, what="request"),
            blob(read_key, size=KEY_BYTES, what="read key"),
            blob(proof, at_most=SIGNED_BYTES, what="proof"),
            blob(token_hash, size=KEY_BYTES, what="token hash"),
            flag(public, what="public"),
        )


@dataclass(frozen=True, slots=True)
class Put:
    """[4, request, queue, write token, blob]; to a public queue the token is the stamp, 32 bytes that hash well."""

    TYPE: ClassVar[int] = 4
    request: int
    queue: bytes
    token: bytes = field(repr=False)
    blob: bytes = field(repr=False)

    def pack(self) -> list[object]:
        return [4, self.request, self.queue, self.token, self.blob]

    @classmethod
    def unpack(cls, f: list[Any]) -> Put:
        _, request, queue, token, content = array(f, 5, what="PUT")
        return cls(
            uint(request, what="request"),
            blob(queue, size=KEY_BYTES, what="queue"),
            blob(token, size=TOKEN_BYTES, what="token"),
            blob(content, at_most=BLOB_BYTES, what="blob"),
        )


@dataclass(frozen=True, slots=True)
class Read:
    """[5, request, queue, read key, proof over [bridge key, challenge, queue], after]"""

    TYPE: ClassVar[int] = 5
    request: int
    queue: bytes
    read_key: bytes
    proof: bytes
    after: int

    def pack(self) -> list[object]:
        return [5, self.request, self.queue, self.read_key, self.proof, self.after]

    @classmethod
    def unpack(cls, f: list[Any]) -> Read:
        _, request, queue, read_key, proof, after = array(f, 6, what="READ")
        return cls(
            uint(request, what="request"),
            blob(queue, size=KEY_BYTES, what="queue"),
            blob(read_key, size=KEY_BYTES, what="read key"),
            blob(proof, at_most=SIGNED_BYTES, what="proof"),
            uint(after, what="after"),
        )


@dataclass(frozen=True, slots=True)
class Ack:
    """[6, request, queue, cursor]: of a queue this connection reads."""

    TYPE: ClassVar[int] = 6
    request: int
    queue: bytes
    cursor: int

    def pack(self) -> list[object]:
        return [6, self.request, self.queue, self.cursor]

    @classmethod
    def unpack(cls, f: list[Any]) -> Ack:
        _, request, queue, cursor = array(f, 4, what="ACK")
        return cls(
            uint(request, what="request"),
            blob(queue, size=KEY_BYTES, what="queue"),
            uint(cursor, what="cursor"),
        )


@dataclass(frozen=True, slots=True)
class Drop:
    """[7, request, queue]: of a queue this connection reads."""

    TYPE: ClassVar[int] = 7
    request: int
    queue: bytes

    def pack(self) -> list[object]:
        return [7, self.request, self.queue]

    @classmethod
    def unpack(cls, f: list[Any]) -> Drop:
        _, request, queue = array(f, 3, what="DROP")
        return cls(uint(request, what="request"), blob(queue, size=KEY_BYTES, what="queue"))


@dataclass(frozen=True, slots=True)
class Meet:
    """[8, request, place, side, side token]: whoever comes back with the side's token has its side again."""

    TYPE: ClassVar[int] = 8
    request: int
    place: str
    side: Side
    token: bytes = field(repr=False)

    def pack(self) -> list[object]:
        return [8, self.request, self.place, int(self.side), self.token]

    @classmethod
    def unpack(cls, f: list[Any]) -> Meet:
        _, request, place, side, token = array(f, 5, what="MEET")
        return cls(
            uint(request, what="request"),
            text(place, at_most=PLACE_CHARS, what="place"),
            Side(uint(side, at_most=1, what="side")),
            blob(token, size=TOKEN_BYTES, what="side token"),
        )


@dataclass(frozen=True, slots=True)
class Tell:
    """[9, request, place, message]"""

    TYPE: ClassVar[int] = 9
    request: int
    place: str
    message: bytes

    def pack(self) -> list[object]:
        return [9, self.request, self.place, self.message]

    @classmethod
    def unpack(cls, f: list[Any]) -> Tell:
        _, request, place, message = array(f, 4, what="TELL")
        return cls(
            uint(request, what="request"),
            text(place, at_most=PLACE_CHARS, what="place"),
            blob(message, at_most=MEETING_BYTES, what="message"),
        )


@dataclass(frozen=True, slots=True)
class Leave:
    """[10, request, place]"""

    TYPE: ClassVar[int] = 10
    request: int
    place: str

    def pack(self) -> list[object]:
        return [10, self.request, self.place]

    @classmethod
    def unpack(cls, f: list[Any]) -> Leave:
        _, request, place = array(f, 3, what="LEAVE")
        return cls(uint(request, what="request"), text(place, at_most=PLACE_CHARS, what="place"))


@dataclass(frozen=True, slots=True)
class Stamp:
    """[11, request, stamp]: work done for the account that logged in; it lets one request of a newcomer pass."""

    TYPE: ClassVar[int] = 11
    request: int
    stamp: bytes

    def pack(self) -> list[object]:
        return [11, self.request, self.stamp]

    @classmethod
    def unpack(cls, f: list[Any]) -> Stamp:
        _, request, stamp = array(f, 3, what="STAMP")
        return cls(uint(request, what="request"), blob(stamp, size=TOKEN_BYTES, what="stamp"))
