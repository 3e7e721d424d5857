"""What a bridge keeps, whatever keeps it: queues of blobs, the accounts that made them, and who is admitted.

Every method of a `Store` starts its work when it is called and answers by a future, in the loop's thread: puts of one
queue are kept in the order of the calls. A future ends with `Refused` where the request cannot be carried out; nothing
is answered before it is durable. Time comes in as an argument, in ms since 1970.

**Cursors.** A blob's cursor is max(the queue's last + 1, the time in microseconds). So they rise within a queue
whatever the clock does, and a store that was brought back from an older copy gives none a second time: it goes on above
all that it gave before. Where the clock went back as well, a reader still loses nothing: one that opens a queue with a
cursor beyond its last lifts the last to it. Opening with a cursor beyond the clock by more than CURSOR_SLACK_US is bad.
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
    """A request that cannot be carried out: `retry_ms` says when it may, 0 that asking again is no use."""

    def __init__(self, refusal: Refusal, retry_ms: int = 0) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal
        self.retry_ms = retry_ms


@dataclass(frozen=True, slots=True)
class Guest:
    """Who logged in. `admission` is how it is let in: under TOKEN by the one with this hash; `origin` is the tag of its
    network (origins.py); `known` says that it has queues here."""

    account: bytes
    origin: bytes
    admission: Admission
    token: bytes = field(default=b"", repr=False)
    known: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """A blob is kept under `cursor`; `previous` is the last cursor that its queue gave before."""

    cursor: int
    previous: int


@dataclass(frozen=True, slots=True)
class Token:
    """An admission token, known by its hash. `accounts` is how many it may admit, `used` how many it has; it admits
    no further one from `until_ms` on, unless that is 0."""

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
    """What the accounts of one network hold that no token or list let in; `origin` is its tag (origins.py)."""

    origin: bytes
    accounts: int
    queues: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Stats:
    """What the store holds. `oldest_ms` is when the oldest blob came, 0 where there is none."""

    queues: int
    blobs: int
    bytes: int
    accounts: int
    oldest_ms: int


class Store(Protocol):
    """Kept with the quotas it was opened with. `grown(queue)` is called for a queue that another process wrote to."""

    grown: Callable[[bytes], None]

    # --- who is admitted ---

    def admit(self, guest: Guest, now_ms: int) -> Future[Guest]:
        """Whether this account may make queues, under its bridge's way of admission: the guest as it is let in. Nothing
        is kept of one that has none. Where all are let in, a good token makes more of a guest. Refused: ADMISSION."""
        ...

    # --- queues ---

    def create(
        self, queue: bytes, guest: Guest, token_hash: bytes, public: bool, now_ms: int, *, worked: bool = False
    ) -> Future[None]:
        """Make a queue, and its account with the first one; or give one that is there another token, it stays with its
        first account. Refused: ADMISSION, ACCOUNT, FULL, WORK (a new account, and not `worked`)."""
        ...

    def put(self, queue: bytes, token_hash: bytes, blob: bytes, now_ms: int, *, worked: bool = False) -> Future[Placed]:
        """Keep a blob. Refused: GONE, TOKEN, WORK (a public queue, and not `worked`), QUOTA, ACCOUNT, FULL."""
        ...

    def open(self, queue: bytes, after: int, now_ms: int) -> Future[int]:
        """Somebody reads the queue from `after` on: its last cursor, lifted to `after`. Refused: GONE, BAD."""
        ...

    def read(self, queue: bytes, after: int, blobs: int, size: int) -> Future[list[tuple[int, bytes]]]:
        """The next (cursor, blob), at most so many and of so many bytes together, but one at least if there is one."""
        ...

    def ack(self, queue: bytes, cursor: int, now_ms: int) -> Future[int]:
        """Forget the queue's blobs up to the cursor: how many there were. No queue, none."""
        ...

    def drop(self, queue: bytes) -> Future[None]:
        """Forget the queue and its blobs; one that is not there is forgotten already."""
        ...

    def listen(self, queue: bytes) -> None:
        """From now on `grown` tells of it, where other processes may write to it."""
        ...

    def unlisten(self, queue: bytes) -> None: ...

    # --- upkeep ---

    def expire(self, now_ms: int) -> Future[int]:
        """Forget blobs that were kept for `kept_s`, queues nobody read for QUEUE_IDLE_DAYS, and tokens whose time is
        over and that admitted nobody: how many blobs."""
        ...

    def stats(self) -> Future[Stats]: ...

    async def close(self) -> None:
        """Finish what was asked for, then let go."""
        ...

    # --- the operator's ---

    def add_token(self, token_hash: bytes, label: str, accounts: int, now_ms: int, until_ms: int = 0) -> Future[None]:
        """From `until_ms` on it admits no further account; 0: without end."""
        ...

    def tokens(self) -> Future[list[Token]]: ...

    def remove_token(self, token_hash: bytes) -> Future[bool]:
        """Whether there was one. Queues made with it stay until they are dropped or expire."""
        ...

    def allow(self, account: bytes, label: str, now_ms: int) -> Future[None]: ...

    def allowed(self) -> Future[list[Allowed]]: ...

    def disallow(self, account: bytes) -> Future[bool]:
        """Whether it was on the list."""
        ...

    def accounts(self, most: int) -> Future[list[Usage]]:
        """At most so many, those that hold the most bytes first."""
        ...

    def networks(self, most: int) -> Future[list[Crowd]]:
        """At most so many, those that hold the most bytes first."""
        ...

    def purge(self, account: bytes) -> Future[int]:
        """Forget an account and all its queues: how many blobs that were."""
        ...
