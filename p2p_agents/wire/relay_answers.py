"""What a bridge says to a client. relay.py tells what each is for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import BLOB_BYTES, DELIVERED_BLOBS, MEETING_BYTES, WORK_BITS_MAX
from p2p_agents.wire.cbor import VERSION, array, array_of, blob, flag, text, uint, version
from p2p_agents.wire.pairing import PLACE_CHARS
from p2p_agents.wire.relay_requests import KEY_BYTES, SIGNED_BYTES

ADDRESS_CHARS = 64
CODE_CHARS = 64


class Admission(StrEnum):
    """Whom a bridge lets make queues. Writing takes a queue's token only."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - a way of admission, no secret
    LIST = "list"  # accounts whose keys its operator wrote down


class Refusal(StrEnum):
    """Why a request was not carried out: stable, and each its own state at the sender."""

    BAD = "bad_request"  # a proof that does not hold, a message out of turn
    VERSION = "unknown_version"
    ADMISSION = "not_admitted"  # no login, or one this bridge does not take
    TOKEN = "bad_token"  # noqa: S105 - the code of a refusal: the write token is not the queue's
    GONE = "queue_gone"  # no such queue here: it never was, expired, or was dropped
    QUOTA = "queue_full"
    ACCOUNT = "account_full"
    RATE = "rate"  # too much at once: again after the time told
    LARGE = "too_large"
    WORK = "more_work"  # the stamp of a public PUT is too cheap
    FULL = "bridge_full"  # its disk or memory
    CROWDED = "place_taken"  # a meeting place has two sides, and both were taken
    AWAY = "place_gone"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a bridge takes: bounds a client keeps to instead of learning them by refusals."""

    admission: Admission
    blob_bytes: int
    queue_blobs: int
    queue_bytes: int
    kept_s: int  # a blob nobody acknowledged is forgotten after this
    work_bits: int  # leading zero bits of a stamp for a public queue

    def pack(self) -> list[object]:
        bounds = [self.blob_bytes, self.queue_blobs, self.queue_bytes, self.kept_s, self.work_bits]
        return [str(self.admission), *bounds]

    @classmethod
    def unpack(cls, value: Any) -> Terms:
        admission, blob_bytes, queue_blobs, queue_bytes, kept_s, work_bits = array(value, 6, what="terms")
        if text(admission, at_most=CODE_CHARS, what="admission") not in set(Admission):
            raise Malformed("the bridge has an unknown kind of admission")
        return cls(
            Admission(admission),
            uint(blob_bytes, at_most=BLOB_BYTES, what="blob bytes"),
            uint(queue_blobs, what="queue blobs"),
            uint(queue_bytes, what="queue bytes"),
            uint(kept_s, what="kept"),
            uint(work_bits, at_most=WORK_BITS_MAX, what="work bits"),
        )


@dataclass(frozen=True, slots=True)
class Welcome:
    """[1, 0, version, bridge key, challenge, proof over [nonce, challenge], observed address, terms]"""

    TYPE: ClassVar[int] = 1
    key: bytes
    challenge: bytes
    proof: bytes  # the bridge's, so that it is known behind somebody's TLS proxy too
    observed: str  # where the client's packets come from, host:port; "" where a proxy hides it
    terms: Terms

    def pack(self) -> list[object]:
        return [1, 0, VERSION, self.key, self.challenge, self.proof, self.observed, self.terms.pack()]

    @classmethod
    def unpack(cls, f: list[Any]) -> Welcome:
        version(f[2] if len(f) > 2 else None)
        _, _, _, key, challenge, proof, observed, terms = array(f, 8, what="WELCOME")
        return cls(
            blob(key, size=KEY_BYTES, what="bridge key"),
            blob(challenge, size=KEY_BYTES, what="challenge"),
            blob(proof, at_most=SIGNED_BYTES, what="proof"),
            text(observed, at_most=ADDRESS_CHARS, what="observed address"),
            Terms.unpack(terms),
        )


@dataclass(frozen=True, slots=True)
class Done:
    """[16, request, cursor or 0]"""

    TYPE: ClassVar[int] = 16
    request: int
    cursor: int = 0

    def pack(self) -> list[object]:
        return [16, self.request, self.cursor]

    @classmethod
    def unpack(cls, f: list[Any]) -> Done:
        _, request, cursor = array(f, 3, what="DONE")
        return cls(uint(request, what="request"), uint(cursor, what="cursor"))


@dataclass(frozen=True, slots=True)
class Fail:
    """[17, request, code, ms after which it may work, or 0]: the code is a Refusal, or one of a later version."""

    TYPE: ClassVar[int] = 17
    request: int
    code: str
    retry_ms: int = 0

    def pack(self) -> list[object]:
        return [17, self.request, str(self.code), self.retry_ms]

    @classmethod
    def unpack(cls, f: list[Any]) -> Fail:
        _, request, code, retry_ms = array(f, 4, what="FAIL")
        return cls(
            uint(request, what="request"),
            text(code, at_most=CODE_CHARS, what="code"),
            uint(retry_ms, what="retry"),
        )


@dataclass(frozen=True, slots=True)
class Deliver:
    """[18, 0, queue, [[cursor, blob]…]]: cursors rise."""

    TYPE: ClassVar[int] = 18
    queue: bytes
    blobs: tuple[tuple[int, bytes], ...] = field(repr=False)

    def pack(self) -> list[object]:
        return [18, 0, self.queue, [list(pair) for pair in self.blobs]]

    @classmethod
    def unpack(cls, f: list[Any]) -> Deliver:
        _, _, queue, blobs = array(f, 4, what="DELIVER")
        pairs = [array(pair, 2, what="delivered blob") for pair in array_of(blobs, DELIVERED_BLOBS, "delivered blobs")]
        found = tuple((uint(c, what="cursor"), blob(b, at_most=BLOB_BYTES, what="blob")) for c, b in pairs)
        if any(one >= two for (one, _), (two, _) in pairwise(found)):
            raise Malformed("the cursors of DELIVER do not rise")
        return cls(blob(queue, size=KEY_BYTES, what="queue"), found)


@dataclass(frozen=True, slots=True)
class Told:
    """[19, 0, place, message, gone]: an empty message says that the other side is there, or that the place is gone."""

    TYPE: ClassVar[int] = 19
    place: str
    message: bytes
    gone: bool = False

    def pack(self) -> list[object]:
        return [19, 0, self.place, self.message, self.gone]

    @classmethod
    def unpack(cls, f: list[Any]) -> Told:
        _, _, place, message, gone = array(f, 5, what="TOLD")
        return cls(
            text(place, at_most=PLACE_CHARS, what="place"),
            blob(message, at_most=MEETING_BYTES, what="message"),
            flag(gone, what="gone"),
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """[20, 0, code, ms]"""

    TYPE: ClassVar[int] = 20
    code: str
    after_ms: int

    def pack(self) -> list[object]:
        return [20, 0, str(self.code), self.after_ms]

    @classmethod
    def unpack(cls, f: list[Any]) -> Notice:
        _, _, code, after_ms = array(f, 4, what="NOTICE")
        return cls(text(code, at_most=CODE_CHARS, what="code"), uint(after_ms, what="after"))
