"""One queue that a connection reads: what was delivered, what is known to follow, and how much more may be pushed."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bridge import bounds
from p2p_agents.limits import INT_MAX

if TYPE_CHECKING:
    from collections.abc import Sequence


class Subscription:
    """`number` distinguishes it from an earlier one of the same queue; `known` is the highest cursor that may
    follow."""

    __slots__ = ("_unacked", "bytes", "fetching", "known", "number", "opened", "queue", "sent")

    def __init__(self, queue: bytes, number: int, after: int) -> None:
        self.queue = queue
        self.number = number
        self.sent = after
        self.known = after
        self.opened = False
        self.fetching = False
        self.bytes = 0  # delivered and not acknowledged
        self._unacked: deque[tuple[int, int]] | None = None  # (cursor, size); an empty one takes 600 bytes

    @property
    def has_window(self) -> bool:
        return self.window_blobs > 0 and self.bytes < bounds.WINDOW_BYTES

    @property
    def window_blobs(self) -> int:
        return bounds.WINDOW_BLOBS - len(self._unacked or ())

    @property
    def wants(self) -> bool:
        """Whether something should be fetched for it."""
        return self.opened and not self.fetching and self.known > self.sent and self.has_window

    def follows(self, previous: int) -> bool:
        """Whether there is nothing between what was delivered and a blob that came after `previous`."""
        return self.opened and not self.fetching and self.known <= self.sent and previous <= self.sent

    def grown(self, cursor: int = INT_MAX) -> None:
        """There may be something up to that cursor; INT_MAX if unknown, which counts as news each time."""
        self.known = max(self.known + (cursor >= INT_MAX), cursor)

    def fetched(self, blobs: Sequence[tuple[int, bytes]] | None, known_before: int) -> None:
        """What followed `sent` at the time of the request; nothing there undoes what was known by then.

        None, if reading failed, waits for `grown`: asking again at once would be no use.
        """
        self.fetching = False
        if not blobs and (blobs is None or self.known == known_before):
            self.known = self.sent

    def delivered(self, blobs: Sequence[tuple[int, bytes]]) -> int:
        """These are sent to the client now; returns their bytes."""
        size = sum(len(blob) for _, blob in blobs)
        self._unacked = deque() if self._unacked is None else self._unacked
        self._unacked.extend((cursor, len(blob)) for cursor, blob in blobs)
        self.bytes += size
        self.sent = blobs[-1][0]
        self.known = max(self.known, self.sent)
        return size

    def acked(self, cursor: int) -> int:
        """The client has stored everything up to the cursor; returns the bytes that this frees."""
        freed = 0
        while self._unacked and self._unacked[0][0] <= cursor:
            freed += self._unacked.popleft()[1]
        self._unacked = self._unacked or None
        self.bytes -= freed
        return freed
