"""The store of a bridge, of either kind: queues of blobs, the accounts that made them, and who is admitted.

Every method of a `Store` starts its work when it is called and answers by a future, in the loop's thread: puts of one
queue are stored in the order of the calls. A future fails with `Refused` if the request cannot be carried out; nothing
is answered before it is durable. Time is an argument, in ms since 1970.

**Cursors.** A blob's cursor is max(the queue's last + 1, the time in microseconds). Cursors therefore rise within a
queue whatever the clock does, and a store restored from an older copy gives none a second time: it continues above all
that it gave before. If the clock went back as well, a reader still loses nothing: opening a queue with a cursor beyond
its last one lifts the last to it. Opening with a cursor ahead of the clock by more than CURSOR_SLACK_US is bad.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from p2p_agents.wire.relay_answers import Admission, Refusal

LABEL_CHARS = 64


class Refused(Exception):
    """A request that cannot be carried out; it may be retried after `retry_ms`, 0 means that retrying is no use."""

    def __init__(self, refusal: Refusal, retry_ms: int = 0) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.retry_ms = retry_ms


@dataclass(frozen=True, slots=True)
class Guest:
    """The client that logged in. `admission` is how it is admitted: under TOKEN by the one with this hash; `origin` is
    the tag of its network (origins.py); `known` says that it has queues here."""

    account: bytes
    origin: bytes
    admission: Admission
    token: bytes = field(default=b"", repr=False)
    known: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A blob is stored under `cursor`; `previous` is the last cursor that its queue gave before."""

    cursor: int
    previous: int


@dataclass(frozen=True, slots=True)
class Token:
    """An admission token, known by its hash. `accounts` is how many it may admit, `used` how many it has; from
    `until_ms` on it admits no further one, 0 meaning no limit."""

    hash: bytes = field(repr=False)
    label: str
    accounts: int
    used: int
    made_ms: int
    until_ms: int = 0


@dataclass(frozen=True, slots=True)
class Allowed:
    """An account on the list."""

    account: bytes
    label: str
    made_ms: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds, and when it last logged in."""

    account: bytes
    queues: int
    bytes: int
    seen_ms: int


@dataclass(frozen=True, slots=True)
class Crowd:
    """What those accounts of one network hold that were admitted neither by a token nor by the list; `origin` is its
    tag (origins.py)."""

    origin: bytes
    accounts: int
    queues: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What the store holds. `oldest_ms` is when the oldest blob came, 0 if there is none."""

    queues: int
    blobs: int
    bytes: int
    accounts: int
    oldest_ms: int


class Store(Protocol):
    """Keeps to the quotas it was opened with. `grown(queue)` is called for a queue that another process wrote to."""

    grown: Callable[[bytes], None]

    # --- admission ---

    def admit(self, guest: Guest, now_ms: int) -> Future[Guest]:
        """Whether this account may make queues, under the bridge's kind of admission; returns the guest as admitted.
        Nothing is stored for one without queues. Where all are admitted, a valid token still raises a guest's quotas.
        Refused: ADMISSION."""
        ...

    # --- queues ---

    def create(
        self, queue: bytes, guest: Guest, token_hash: bytes, public: bool, now_ms: int, *, worked: bool = False
    ) -> Future[None]:
        """Make a queue, and its account with the first one; or give an existing queue another token: it stays with its
        first account. Refused: ADMISSION, ACCOUNT, FULL, WORK (a new account, and not `worked`)."""
        ...

    def put(self, queue: bytes, token_hash: bytes, blob: bytes, now_ms: int, *, worked: bool = False) -> Future[Placed]:
        """Store a blob. Refused: GONE, TOKEN, WORK (a public queue, and not `worked`), QUOTA, ACCOUNT, FULL."""
        ...

    def open(self, queue: bytes, after: int, now_ms: int) -> Future[int]:
        """The queue is read from `after` on; returns its last cursor, lifted to `after`. Refused: GONE, BAD."""
        ...

    def read(self, queue: bytes, after: int, blobs: int, size: int) -> Future[list[tuple[int, bytes]]]:
        """The next (cursor, blob) pairs, up to this number and total size, but at least one if there is one."""
        ...

    def ack(self, queue: bytes, cursor: int, now_ms: int) -> Future[int]:
        """Delete the queue's blobs up to the cursor; returns how many there were, 0 if there is no queue."""
        ...

    def drop(self, queue: bytes) -> Future[None]:
        """Delete the queue and its blobs; a missing one counts as deleted."""
        ...

    def listen(self, queue: bytes) -> None:
        """From now on call `grown` for it, if other processes may write to it."""
        ...

    def unlisten(self, queue: bytes) -> None: ...

    # --- upkeep ---

    def expire(self, now_ms: int) -> Future[int]:
        """Delete blobs that were kept for `kept_s`, queues that nobody read for QUEUE_IDLE_DAYS, and expired tokens
        that admitted nobody; returns the number of blobs."""
        ...

    def stats(self) -> Future[Stats]: ...

    async def close(self) -> None:
        """Finish the requests in progress, then release everything."""
        ...

    # --- the operator's ---

    def add_token(self, token_hash: bytes, label: str, accounts: int, now_ms: int, until_ms: int = 0) -> Future[None]:
        """From `until_ms` on it admits no further account; 0: no limit."""
        ...

    def tokens(self) -> Future[list[Token]]: ...

    def remove_token(self, token_hash: bytes) -> Future[bool]:
        """Returns whether there was one. Queues made with it stay until they are dropped or expire."""
        ...

    def allow(self, account: bytes, label: str, now_ms: int) -> Future[None]: ...

    def allowed(self) -> Future[list[Allowed]]: ...

    def disallow(self, account: bytes) -> Future[bool]:
        """Returns whether it was on the list."""
        ...

    def accounts(self, most: int) -> Future[list[Usage]]:
        """At most so many, those with the most bytes first."""
        ...

    def networks(self, most: int) -> Future[list[Crowd]]:
        """At most so many, those with the most bytes first."""
        ...

    def purge(self, account: bytes) -> Future[int]:
        """Delete an account and all its queues; returns the number of blobs."""
        ...
