"""Meeting places of several bridge processes, in Redis: the two sides may be connected to different processes.

    p2pb:p:{NAME}       hash: each side's token, who sits there (process and visitor), when the place ends
    p2pb:p:{NAME}:SIDE  list: messages that wait for that side
    p2pb:places         sorted set: all places that are shown, by when they end
    p2pb:places:NETWORK sorted set: those of one network, by its tag
    p2pb:lonely, p2pb:lonely:NETWORK: likewise those that only a joiner took
    p2pb:told:WINDOW    bytes of messages in these ten minutes, in all and from one NETWORK

A message always waits in Redis first; the process whose client sits there is woken and takes it. A message for a
process that is gone therefore waits for the side's next MEET. Everything expires by itself when the place ends.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge import bounds
from bridge.places import STRANGER, Standing, demand_place
from bridge.redis_ears import Ears
from bridge.redis_keys import name_of
from bridge.redis_link import Command, Link, call
from bridge.store import Refused
from p2p_agents.wire.relay_answers import Refusal, Told
from p2p_agents.wire.relay_requests import Side

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Coroutine

    from bridge.places import News, Visitor

COUNTED = {Side.DISPLAYER: "p2pb:places", Side.JOINER: "p2pb:lonely"}  # the sets that limit places, by who opened them

_CHANNEL = "p2pb:told:"


@dataclass(slots=True)
class _Seat:
    """A side taken by a visitor of this process."""

    side: Side
    ends_ms: int
    network: bytes


class RedisMeetings:
    """A `bridge.meetings.Meetings`. One request at a time, so that the messages of one side arrive in order."""

    def __init__(self, link: Link) -> None:
        self.told: Callable[[Visitor, Told], None] = lambda visitor, told: None
        self._link = link
        self._self = secrets.token_hex(8)
        self._loop = asyncio.get_running_loop()
        self._seats: dict[tuple[str, Visitor], _Seat] = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._now_ms = 0  # at the latest request or sweep
        self._looking = False
        self._owed: set[str] = set()  # places where something may wait, until they were checked
        self._ears = Ears(link, self._heard, self._missed)
        self._ears.listen(_CHANNEL + self._self)

    def __len__(self) -> int:
        return len({name for name, _ in self._seats})

    def meet(
        self,
        place: str,
        side: Side,
        token_hash: bytes,
        visitor: Visitor,
        now_ms: int,
        standing: Standing = STRANGER,
    ) -> Future[None]:
        return self._ask(self._meet(place, side, token_hash, visitor, now_ms, standing), now_ms)

    def tell(self, place: str, message: bytes, visitor: Visitor, now_ms: int) -> Future[None]:
        return self._ask(self._tell(place, message, visitor, now_ms), now_ms)

    def leave(self, place: str, visitor: Visitor, now_ms: int) -> Future[None]:
        return self._ask(self._leave(place, visitor, now_ms), now_ms)

    def lost(self, visitor: Visitor, now_ms: int) -> None:
        self._start(self._quietly(self._lost(visitor, now_ms)))

    def expire(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._owed |= {name for (name, _), seat in self._seats.items() if seat.ends_ms <= now_ms}
        self._look_soon()

    async def close(self) -> None:
        await asyncio.gather(*self._tasks)
        await self._ears.close()

    # --- requests ---

    async def _meet(
        self, name: str, side: Side, token_hash: bytes, visitor: Visitor, now_ms: int, standing: Standing
    ) -> News:
        known = self._seats.get((name, visitor))
        if known is not None and known.side is not side:
            raise Refused(Refusal.BAD)
        refused = await self._refused(side, standing, now_ms)
        lives = (bounds.PLACE_MS, bounds.LONELY_PLACE_MS)
        why = str(refused.refusal) if refused is not None else ""
        words = (name, int(side), token_hash, self._sitter(visitor), now_ms, why, *lives)
        answer = await self._link.one(call("meet", _keys(name), *words, standing.network.hex()))
        if refused is not None and answer[0] == why.encode():
            raise refused
        ends, lonely, there, *waited = _checked(answer)
        self._seats[name, visitor] = _Seat(side, ends, standing.network)
        kind = Side.JOINER if lonely else Side.DISPLAYER
        if kind is side:
            await self._all([Command(("ZADD", key, ends, name)) for key in _counted(kind, standing.network)])
        return [(visitor, Told(name, message)) for message in [b""] * there + waited]

    async def _refused(self, side: Side, standing: Standing, now_ms: int) -> Refused | None:
        """Why no place is created or shown for this client; None if it may be."""
        keys = _counted(side, standing.network)
        await self._all([Command(("ZREMRANGEBYSCORE", key, "-inf", now_ms)) for key in keys])
        counts = await self._all([Command(("ZCARD", key)) for key in keys])
        try:
            demand_place(side, standing, counts[0], counts[-1])
        except Refused as refused:
            return refused
        return None

    async def _lost(self, visitor: Visitor, now_ms: int) -> None:
        """In turn with the other requests: a side may have been requested just before."""
        for name, sitter in [seat for seat in self._seats if seat[1] == visitor]:
            await self._rise(name, self._seats.pop((name, sitter)), visitor, now_ms)

    async def _rise(self, name: str, seat: _Seat, visitor: Visitor, now_ms: int) -> None:
        words = (name, int(seat.side), self._sitter(visitor), now_ms, bounds.ABANDONED_PLACE_MS)
        _, ends, network = await self._link.one(call("rise", _keys(name)[:1], *words))
        if seat.side is Side.DISPLAYER:
            keys = _counted(Side.DISPLAYER, bytes.fromhex(network.decode()))
            await self._all([Command(("ZADD", key, "XX", ends, name)) for key in keys])

    async def _all(self, commands: list[Command]) -> list[Any]:
        """Their answers. Raises Refused."""
        answers = await self._link.run(commands)
        for answer in answers:
            if isinstance(answer, Refused):
                raise answer
        return answers

    async def _tell(self, name: str, message: bytes, visitor: Visitor, now_ms: int) -> News:
        await self._spend(self._seat(name, visitor).network, len(message), now_ms)
        most = (bounds.PLACE_MESSAGES, bounds.PLACE_BYTES)
        words = (name, int(self._seat(name, visitor).side), self._sitter(visitor), now_ms, message, *most)
        _checked(await self._link.one(call("tell", _keys(name), *words)))
        return []

    async def _spend(self, network: bytes, size: int, now_ms: int) -> None:
        """A message waits in Redis for ten minutes at most, so a limit per ten minutes limits what waits. Raises
        Refused."""
        window = f"p2pb:told:{now_ms // bounds.PLACE_MS}"
        keys = [window, f"{window}:{network.hex()}"] if network else [window]
        told = await self._all([Command(("INCRBY", key, size)) for key in keys])
        await self._all([Command(("PEXPIRE", key, 2 * bounds.PLACE_MS)) for key in keys])
        if network and told[1] > bounds.PLACE_BYTES_OF_NETWORK:
            raise Refused(Refusal.RATE, bounds.LONELY_PLACE_MS)
        if told[0] > bounds.ALL_PLACE_BYTES:
            raise Refused(Refusal.FULL, bounds.LONELY_PLACE_MS)

    async def _leave(self, name: str, visitor: Visitor, now_ms: int) -> News:
        words = (name, int(self._seat(name, visitor).side), self._sitter(visitor), now_ms)
        (network,) = _checked(await self._link.one(call("leave", _keys(name), *words)))
        seat = self._seats.pop((name, visitor))
        keys = {*_counted(Side.DISPLAYER, bytes.fromhex(network.decode())), *_counted(Side.JOINER, seat.network)}
        await self._all([Command(("ZREM", key, name)) for key in sorted(keys)])
        return []

    def _seat(self, name: str, visitor: Visitor) -> _Seat:
        seat = self._seats.get((name, visitor))
        if seat is None:
            raise Refused(Refusal.AWAY)
        return seat

    def _sitter(self, visitor: Visitor) -> str:
        return f"{self._self} {visitor}"

    # --- what waits ---

    def _heard(self, channel: str, name: bytes) -> None:
        self._owed.add(name.decode())
        self._look_soon()

    def _missed(self, channel: str) -> None:
        self._owed |= {name for name, _ in self._seats}
        self._look_soon()

    def _look_soon(self) -> None:
        if self._owed and not self._looking:
            self._looking = True
            self._start(self._quietly(self._look()))

    async def _look(self) -> None:
        """Fetch what waits for this process's visitors, where something may wait, and learn which places are gone."""
        try:
            while self._owed:
                await self._look_at(next(iter(self._owed)))
        finally:
            self._looking = False

    async def _look_at(self, name: str) -> None:
        """If it fails, the place stays owed, and is checked again with the next sweep or notification."""
        self._owed.discard(name)
        try:
            for (place, visitor), seat in list(self._seats.items()):
                if place == name:
                    self._spread(await self._take(name, visitor, seat))
        except Refused:
            self._owed.add(name)
            raise

    async def _take(self, name: str, visitor: Visitor, seat: _Seat) -> News:
        words = (int(seat.side), self._sitter(visitor), self._now_ms)
        code, *found = await self._link.one(call("take", _keys(name), *words))
        if not code:
            seat.ends_ms, waited = found[0], found[1:]
            return [(visitor, Told(name, message)) for message in waited]
        moved = code == Refusal.CROWDED.encode() and seat.ends_ms > self._now_ms
        if self._seats.pop((name, visitor), None) is None or moved:
            return []  # it left, or the token's owner now sits elsewhere
        return [(visitor, Told(name, b"", gone=True))]

    # --- tasks ---

    def _ask(self, work: Coroutine[Any, Any, News], now_ms: int) -> Future[None]:
        """The answer first, then the news: a side learns that it sits before it gets messages."""
        self._now_ms = now_ms
        future: Future[None] = self._loop.create_future()

        async def run() -> None:
            async with self._turn:
                try:
                    news = await work
                except Exception as error:  # reported to whoever asked
                    future.set_exception(error)
                    return
                future.set_result(None)
                self._loop.call_soon(self._spread, news)

        self._start(run())
        return future

    async def _quietly(self, work: Coroutine[Any, Any, object]) -> None:
        """Nobody asked for it, so nobody is told if Redis is away."""
        async with self._turn:
            try:
                await work
            except Refused:
                return

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _spread(self, news: News) -> None:
        for visitor, told in news:
            self.told(visitor, told)


def _keys(name: str) -> tuple[str, ...]:
    place = f"p2pb:p:{{{name_of(name.encode())}}}"  # a name may contain the characters that mark a slot
    return (place, *(f"{place}:{side:d}" for side in Side))


def _counted(kind: Side, network: bytes) -> tuple[str, ...]:
    """The sets in which a place is counted: of all places, and of its network, if known."""
    together = COUNTED[kind]
    return (together, f"{together}:{network.hex()}") if network else (together,)


def _checked(answer: list[Any]) -> list[Any]:
    """The fields after the code. Raises Refused for a code."""
    code, *rest = answer
    if code:
        refusal = Refusal(code.decode())
        raise Refused(refusal, bounds.LONELY_PLACE_MS if refusal is Refusal.FULL else 0)
    return rest
