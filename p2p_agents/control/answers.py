"""Large answers: the memory of all of them together is bounded, and each is written piece by piece."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from p2p_agents.control.wire import encode_line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

PIECE_BYTES = 64 * 1024  # written at once; a client that does not read stops the next one
ESCAPED = 6  # bytes of a character in ASCII JSON: backslash, u, four digits


class Held:
    """One answer's share of the budget."""

    __slots__ = ("_budget", "count")

    def __init__(self, budget: Budget, count: int) -> None:
        self._budget = budget
        self.count = count

    def settle(self, count: int) -> None:
        """Set the share to what the answer really takes; if that is more than reserved, it does not wait."""
        freed, self.count = self.count - count, count
        self._budget.give(freed)


class Budget:
    """Bytes that answers under way hold, over all clients. Whoever finds too few waits in line."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def held(self, count: int) -> AsyncIterator[Held]:
        """Reserve so many bytes while the block lasts. More than the whole budget is granted only to a single one."""
        await self._take(count)
        share = Held(self, count)
        try:
            yield share
        finally:
            share.settle(0)

    def give(self, count: int) -> None:
        self.used -= count
        while self._line and self._fits(self._line[0][0]):
            wanted, turn = self._line.popleft()
            if not turn.done():
                self.used += wanted
                turn.set_result(None)

    async def _take(self, count: int) -> None:
        if not self._line and self._fits(count):
            self.used += count
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            granted = turn.done() and not turn.cancelled()
            self.give(count if granted else 0)
            raise

    def _fits(self, count: int) -> bool:
        return self.used == 0 or self.used + count <= self.most


def size(result: Mapping[str, Any]) -> int:
    """Bytes that the bodies of a page take, as text or as JSON: other characters than ASCII take six bytes there."""
    texts = (message["text"] or "" for message in result["messages"])
    return sum(len(text) if text.isascii() else ESCAPED * len(text) for text in texts)


def pieces(number: int, result: Mapping[str, Any]) -> Iterator[bytes]:
    """The line that answers request `number` with a page, its messages first; only a piece of it exists at a time."""
    head = encode_line({"id": number, "ok": True})[:-2]  # without the brace and the line's end
    waiting = bytearray(head + b',"result":{"messages":[')
    for at, message in enumerate(result["messages"]):
        waiting += (b"," if at else b"") + encode_line(message)[:-1]
        while len(waiting) >= PIECE_BYTES:
            yield bytes(waiting[:PIECE_BYTES])
            del waiting[:PIECE_BYTES]
    rest = encode_line({name: value for name, value in result.items() if name != "messages"})[1:-1]
    yield bytes(waiting) + (b"]," if len(rest) > 1 else b"]") + rest + b"}\n"
