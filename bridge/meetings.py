"""Where meeting places are kept: in this process, or wherever another `Meetings` keeps them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from bridge.places import STRANGER, News, Places, Standing, Visitor
from bridge.store import Refused

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable

    from p2p_agents.wire.relay_answers import Told
    from p2p_agents.wire.relay_requests import Side


class Meetings(Protocol):
    """As `Places`, answered by futures; `told` is called, in the loop's thread, with messages for a visitor."""

    told: Callable[[Visitor, Told], None]

    def meet(
        self,
        place: str,
        side: Side,
        token_hash: bytes,
        visitor: Visitor,
        now_ms: int,
        standing: Standing = STRANGER,
    ) -> Future[None]: ...

    def tell(self, place: str, message: bytes, visitor: Visitor, now_ms: int) -> Future[None]: ...

    def leave(self, place: str, visitor: Visitor, now_ms: int) -> Future[None]: ...

    def lost(self, visitor: Visitor, now_ms: int) -> None: ...

    def expire(self, now_ms: int) -> None: ...

    def __len__(self) -> int:
        """How many places there are, as far as this process knows."""
        ...

    async def close(self) -> None: ...


class LocalMeetings:
    """For a single process: all visitors are connected to it."""

    def __init__(self) -> None:
        self.told: Callable[[Visitor, Told], None] = lambda visitor, told: None
        self._places = Places()

    def __len__(self) -> int:
        return len(self._places)

    def meet(
        self,
        place: str,
        side: Side,
        token_hash: bytes,
        visitor: Visitor,
        now_ms: int,
        standing: Standing = STRANGER,
    ) -> Future[None]:
        return self._answer(lambda: self._places.meet(place, side, token_hash, visitor, now_ms, standing))

    def tell(self, place: str, message: bytes, visitor: Visitor, now_ms: int) -> Future[None]:
        return self._answer(lambda: self._places.tell(place, message, visitor, now_ms))

    def leave(self, place: str, visitor: Visitor, now_ms: int) -> Future[None]:
        return self._answer(lambda: self._places.leave(place, visitor, now_ms))

    def lost(self, visitor: Visitor, now_ms: int) -> None:
        self._places.lost(visitor, now_ms)

    def expire(self, now_ms: int) -> None:
        self._spread(self._places.expire(now_ms))

    async def close(self) -> None:
        """Nothing is kept."""

    def _answer(self, ask: Callable[[], News]) -> Future[None]:
        """The answer first, then messages to others: a side knows that it has its place before it hears anything."""
        loop = asyncio.get_running_loop()
        future: Future[None] = loop.create_future()
        try:
            news = ask()
        except Refused as refused:
            future.set_exception(refused)
            return future
        future.set_result(None)
        future.add_done_callback(lambda _: self._spread(news))
        return future

    def _spread(self, news: News) -> None:
        for visitor, told in news:
            self.told(visitor, told)
