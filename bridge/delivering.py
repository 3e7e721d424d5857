"""The queues that one connection reads: when blobs are fetched and pushed, within each window and the common one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge import bounds
from bridge.subscription import Subscription
from p2p_agents.limits import DELIVERED_BLOBS, INT_MAX
from p2p_agents.wire.relay_answers import Deliver

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Fetch:
    """Read this part of a queue, and answer with `fetched`."""

    queue: bytes
    number: int
    after: int
    known: int
    blobs: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Push:
    """Send this to the client."""

    message: Deliver = field(repr=False)


class Delivering:
    """Pushes until the client owes too many acknowledgements; the queue that has waited longest comes first."""

    def __init__(self) -> None:
        self._read: dict[bytes, Subscription] = {}
        self._waiting: dict[bytes, None] = {}
        self._numbers = 0
        self._fetches = 0
        self.unacked_bytes = 0  # delivered and not acknowledged, of all queues

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, queue: bytes) -> bool:
        return queue in self._read

    @property
    def queues(self) -> tuple[bytes, ...]:
        return tuple(self._read)

    def unacked(self, queue: bytes) -> int:
        """Bytes of a queue that were delivered and not acknowledged."""
        subscription = self._read.get(queue)
        return 0 if subscription is None else subscription.bytes

    def begin(self, queue: bytes, after: int) -> int:
        """The queue is read from `after` on, once it is `opened` under the number returned. Ends an earlier reading."""
        self.end(queue)
        self._numbers += 1
        self._read[queue] = Subscription(queue, self._numbers, after)
        return self._numbers

    def opened(self, queue: bytes, number: int, last: int) -> Iterator[Fetch]:
        subscription = self._find(queue, number)
        if subscription is not None:
            subscription.opened = True
            subscription.grown(last)
            yield from self._serve(subscription)

    def end(self, queue: bytes, number: int | None = None) -> bool:
        """Stop reading it, or stop reading it under that number. Returns whether it was read."""
        subscription = self._read.get(queue)
        if subscription is None or number not in (None, subscription.number):
            return False
        del self._read[queue]
        self._waiting.pop(queue, None)
        self.unacked_bytes -= subscription.bytes
        return True

    def came(self, queue: bytes, previous: int, cursor: int, blob: bytes) -> Iterator[Fetch | Push]:
        """A blob was stored: it is pushed at once if nothing is before it and the window allows."""
        subscription = self._read.get(queue)
        if subscription is None:
            return
        if subscription.follows(previous) and cursor > subscription.sent and self._room(subscription):
            yield self._push(subscription, [(cursor, blob)])
            return
        subscription.grown(cursor)
        yield from self._serve(subscription)

    def grown(self, queue: bytes) -> Iterator[Fetch]:
        """Another process wrote to it."""
        subscription = self._read.get(queue)
        if subscription is not None:
            subscription.grown(INT_MAX)
            yield from self._serve(subscription)

    def fetched(self, fetch: Fetch, blobs: list[tuple[int, bytes]] | None) -> Iterator[Fetch | Push]:
        """The answer to a Fetch; None if reading failed: call `grown` when it may work."""
        self._fetches -= 1
        subscription = self._find(fetch.queue, fetch.number)
        if subscription is None:
            yield from self._serve_waiting()
            return
        subscription.fetched(blobs, fetch.known)
        if blobs:
            yield self._push(subscription, blobs)
        yield from self._serve(subscription)

    def sent(self, queue: bytes) -> int | None:
        """The cursor up to which the queue was delivered; None if it is not read."""
        subscription = self._read.get(queue)
        return None if subscription is None else subscription.sent

    def acked(self, queue: bytes, cursor: int) -> Iterator[Fetch]:
        """The client has stored everything up to the cursor: there is room for more."""
        subscription = self._read[queue]
        self.unacked_bytes -= subscription.acked(cursor)
        yield from self._serve(subscription)

    # --- private ---

    def _find(self, queue: bytes, number: int) -> Subscription | None:
        subscription = self._read.get(queue)
        return subscription if subscription is not None and subscription.number == number else None

    def _room(self, subscription: Subscription) -> bool:
        return subscription.has_window and self.unacked_bytes < bounds.CONNECTION_WINDOW_BYTES

    def _push(self, subscription: Subscription, blobs: list[tuple[int, bytes]]) -> Push:
        self.unacked_bytes += subscription.delivered(blobs)
        return Push(Deliver(subscription.queue, tuple(blobs)))

    def _serve(self, subscription: Subscription) -> Iterator[Fetch]:
        """Put it behind the others, and fetch for those there is room for."""
        if subscription.wants:
            self._waiting.setdefault(subscription.queue)
        yield from self._serve_waiting()

    def _serve_waiting(self) -> Iterator[Fetch]:
        while self._waiting and self._fetches < bounds.FETCHES and self._promised < bounds.CONNECTION_WINDOW_BYTES:
            queue = next(iter(self._waiting))
            del self._waiting[queue]
            if self._read[queue].wants:
                yield self._fetch(self._read[queue])

    @property
    def _promised(self) -> int:
        return self.unacked_bytes + self._fetches * bounds.FETCH_BYTES

    def _fetch(self, subscription: Subscription) -> Fetch:
        self._fetches += 1
        subscription.fetching = True
        return Fetch(
            subscription.queue,
            subscription.number,
            subscription.sent,
            subscription.known,
            min(DELIVERED_BLOBS, subscription.window_blobs),
            bounds.FETCH_BYTES,
        )
