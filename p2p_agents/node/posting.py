"""Turns posts for one bridge into blobs: one at a time for each queue, while later posts gather into the next."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2p_agents.crypto.outer import NONCE_BYTES, blob_size, seal_blob
from p2p_agents.limits import BLOB_BYTES, BLOB_FRAMES, BRIDGE_WAITING_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from p2p_agents.core.kernel.effects import Post

HEAD_BYTES = 16  # of a blob's CBOR: two arrays and the incarnation
FRAME_HEAD_BYTES = 5


@dataclass(frozen=True, slots=True)
class Sealed:
    """A blob that may be sent now."""

    ticket: int
    queue: bytes
    token: bytes = field(repr=False)
    blob: bytes = field(repr=False)
    public: bool = False  # the queue takes work instead of a token


class Posting:
    """`draw` returns secret random bytes."""

    def __init__(self, draw: Callable[[int], bytes]) -> None:
        self._draw = draw
        self._tickets = itertools.count(1)
        self._waiting: dict[bytes, deque[Post]] = {}
        self._under_way: dict[int, list[Post]] = {}
        self._busy: set[bytes] = set()
        self._bytes = 0

    def __len__(self) -> int:
        """Number of unanswered posts."""
        return sum(map(len, self._waiting.values())) + sum(map(len, self._under_way.values()))

    def add(self, post: Post) -> bool:
        """False if too much waits already."""
        if self._bytes + len(post.frame) > BRIDGE_WAITING_BYTES:
            return False
        self._bytes += len(post.frame)
        self._waiting.setdefault(post.route.queue, deque()).append(post)
        return True

    def ready(self, blob_bytes: int = BLOB_BYTES) -> list[Sealed]:
        """The next blob of every queue that has none in flight; a bridge takes blobs up to that size."""
        return [self._seal(queue, blob_bytes) for queue in list(self._waiting) if queue not in self._busy]

    def stored(self, ticket: int) -> list[Post]:
        """The posts of that blob; its queue may send another."""
        return self._settle(ticket)

    def refused(self, ticket: int) -> list[Post]:
        """The posts of that blob and all those behind them in its queue, so that none overtakes another."""
        posts = self._settle(ticket)
        behind = self._waiting.pop(posts[0].route.queue, deque()) if posts else deque()
        self._bytes -= sum(len(post.frame) for post in behind)
        return [*posts, *behind]

    def drain(self) -> list[Post]:
        """All unanswered posts, which nobody will answer any more."""
        posts = [post for posts in (*self._under_way.values(), *self._waiting.values()) for post in posts]
        self._waiting.clear()
        self._under_way.clear()
        self._busy.clear()
        self._bytes = 0
        return posts

    def _settle(self, ticket: int) -> list[Post]:
        posts = self._under_way.pop(ticket, [])
        self._busy -= {post.route.queue for post in posts}
        self._bytes -= sum(len(post.frame) for post in posts)
        return posts

    def _seal(self, queue: bytes, blob_bytes: int) -> Sealed:
        waiting = self._waiting[queue]
        posts = [first := waiting.popleft()]
        size = HEAD_BYTES + FRAME_HEAD_BYTES + len(first.frame)
        while waiting and len(posts) < BLOB_FRAMES:
            post = waiting[0]
            size += FRAME_HEAD_BYTES + len(post.frame)
            alike = post.route == first.route and post.incarnation == first.incarnation
            if first.public or not alike or blob_size(size) > blob_bytes:
                break
            posts.append(waiting.popleft())
        if not waiting:
            del self._waiting[queue]
        ticket = next(self._tickets)
        self._under_way[ticket] = posts
        self._busy.add(queue)
        frames = [post.frame for post in posts]
        blob = seal_blob(first.route.key, queue, first.incarnation, frames, self._draw(NONCE_BYTES))
        return Sealed(ticket, queue, first.route.token, blob, first.public)
