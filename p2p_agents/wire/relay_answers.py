"""What a bridge sends to a client. relay.py explains each message."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, ClassVar

from p2p_agents.errors import Malformed
from p2p_agents.limits import BLOB_BYTES, DELIVERED_BLOBS, WORK_BITS_MAX
from p2p_agents.wire.cbor import VERSION, array, blob, uint
from p2p_agents.wire.kinds import Bool, Bytes32, Custom, ListOf, Ms, OneOf, Text, Uint, Uint53
from p2p_agents.wire.layout import Layout, Typed
from p2p_agents.wire.parts import Place
from p2p_agents.wire.relay_requests import Message, Proof

RefusalCode = Annotated[str, Text(64)]


class Admission(StrEnum):
    """Who may make queues at a bridge. Writing needs only a queue's token."""

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - a way of admission, no secret
    LIST = "list"  # accounts whose keys the operator listed


class Refusal(StrEnum):
    """Why a request was not carried out. The codes are stable, and each is a state of its own at the sender."""

    BAD = "bad_request"  # an invalid proof, or a message out of turn
    VERSION = "unknown_version"
    ADMISSION = "not_admitted"  # no login, or one that this bridge does not accept
    TOKEN = "bad_token"  # noqa: S105 - the code of a refusal: the write token is not the queue's
    GONE = "queue_gone"  # no such queue here: it never existed, expired, or was dropped
    QUOTA = "queue_full"
    ACCOUNT = "account_full"
    RATE = "rate"  # too fast: again after the given time
    LARGE = "too_large"
    WORK = "more_work"  # the stamp of a public PUT is too cheap
    FULL = "bridge_full"  # its disk or memory
    CROWDED = "place_taken"  # a meeting place has two sides, and both are taken
    AWAY = "place_gone"
    RESTARTING = "restarting"


@dataclass(frozen=True, slots=True)
class Terms(Layout):
    """The limits of a bridge, so that clients need not learn them by refusals."""

    RULE: ClassVar[str] = "terms"
    admission: Annotated[Admission, OneOf(Admission)]
    blob_bytes: Annotated[int, Uint(BLOB_BYTES)]
    queue_blobs: Uint53
    queue_bytes: Uint53
    kept_s: Uint53  # an unacknowledged blob is deleted after this
    work_bits: Annotated[int, Uint(WORK_BITS_MAX)]  # leading zero bits of a stamp for a public queue


@dataclass(frozen=True, slots=True)
class Welcome(Typed):
    TYPE: ClassVar[int] = 1
    NEXT: ClassVar[tuple[int, ...]] = (0, VERSION)
    VERSION_AT: ClassVar[int | None] = 2
    RULE: ClassVar[str] = "welcome"
    key: Annotated[Bytes32, "bridge"]
    challenge: Bytes32
    proof: Proof  # the bridge's, so that it is recognized behind somebody's TLS proxy too
    observed: Annotated[str, Text(64)]  # where the client's packets come from, host:port; "" if a proxy hides it
    terms: Terms


@dataclass(frozen=True, slots=True)
class Done(Typed):
    TYPE: ClassVar[int] = 16
    RULE: ClassVar[str] = "done"
    request: Uint53
    cursor: Uint53 = 0


@dataclass(frozen=True, slots=True)
class Fail(Typed):
    """The code is a Refusal, or one of a later version; retrying may work after `retry_ms`, never if that is 0."""

    TYPE: ClassVar[int] = 17
    RULE: ClassVar[str] = "fail"
    request: Uint53
    code: RefusalCode
    retry_ms: Annotated[Ms, "retry"] = 0


def _delivered(value: Any) -> tuple[int, bytes]:
    cursor, content = array(value, 2, what="delivered blob")
    return uint(cursor, what="cursor"), blob(content, at_most=BLOB_BYTES, what="blob")


_BLOB = Custom(f"[cursor: uint53, blob: bytes .size (0..{BLOB_BYTES})]", _delivered, list)
_BLOBS = ListOf(_BLOB, DELIVERED_BLOBS)
_read_blobs = _BLOBS.reader("delivered blobs")


def _rising(value: Any) -> tuple[tuple[int, bytes], ...]:
    found: tuple[tuple[int, bytes], ...] = _read_blobs(value)
    if any(one >= two for (one, _), (two, _) in pairwise(found)):
        raise Malformed("the cursors of DELIVER do not rise")
    return found


@dataclass(frozen=True, slots=True)
class Deliver(Typed):
    """Cursors rise."""

    TYPE: ClassVar[int] = 18
    NEXT: ClassVar[tuple[int, ...]] = (0,)
    RULE: ClassVar[str] = "deliver"
    queue: Bytes32
    blobs: Annotated[tuple[tuple[int, bytes], ...], Custom(_BLOBS.drawn(), _rising, _BLOBS.writer())] = field(
        repr=False
    )


@dataclass(frozen=True, slots=True)
class Told(Typed):
    """An empty message says that the other side is there, or that the place is gone."""

    TYPE: ClassVar[int] = 19
    NEXT: ClassVar[tuple[int, ...]] = (0,)
    RULE: ClassVar[str] = "told"
    place: Place
    message: Message
    gone: Bool = False


@dataclass(frozen=True, slots=True)
class Notice(Typed):
    TYPE: ClassVar[int] = 20
    NEXT: ClassVar[tuple[int, ...]] = (0,)
    RULE: ClassVar[str] = "notice"
    code: RefusalCode
    after_ms: Annotated[Ms, "after"]
